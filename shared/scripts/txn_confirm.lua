-- Confirm an outcome, which has reached a process that is about to respond.
-- ARGV: event id, round.  Returns {outcome to respond with, reason}: completed only if this or an earlier call was in
-- time.
local id = ARGV[1]
local txn = load_txn(id)
if not txn or txn.round ~= ARGV[2] then return recorded_decision(id) end
if txn.state == 'completed' then
  if is_confirmable(txn) then
    confirm(id, txn)
    return {'completed', ''}
  end
  make_orphan(id, txn)
end
return {txn.state, redis.call('HGET', EVENT .. id, 'reason') or ''}
