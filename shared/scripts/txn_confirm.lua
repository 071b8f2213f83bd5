-- An outcome has reached a process that is about to answer.
-- ARGV: event id, round.  Returns {what may be answered, reason}: completed only if this, or an earlier call, was in time.
local id = ARGV[1]
local txn = load_txn(id)
if not txn or txn.round ~= ARGV[2] then return remembered(id) end
if txn.state == 'completed' then
  if may_confirm(txn) then
    confirm(id, txn)
    return {'completed', ''}
  end
  orphan(id, txn)
end
return {txn.state, redis.call('HGET', EVENT .. id, 'reason') or ''}
