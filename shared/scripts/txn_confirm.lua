-- Confirm outcomes, which have reached a process that is about to respond.
-- ARGV: event id and round of each.  Returns for each {outcome to respond with, reason}: completed only if this or an
-- earlier call was in time; 'refused ' and an error's code if the event's own keys cause one.
local function confirm_round(id, round)
  local txn = load_txn(id)
  if not txn or txn.round ~= round then return recorded_decision(id) end
  if txn.state == 'completed' then
    if is_confirmable(txn) then
      confirm(id, txn)
      return {'completed', ''}
    end
    make_orphan(id, txn)
  end
  return {txn.state, redis.call('HGET', EVENT .. id, 'reason') or ''}
end

local replies = {}
for at = 1, #ARGV, 2 do
  local is_done, reply = pcall(confirm_round, ARGV[at], ARGV[at + 1])
  table.insert(replies, is_done and reply or refusal_of(reply))
end
return replies
