-- Abandon a transaction at its deadline or when its sender hangs up: if it is not completed by now, it is refused.
-- ARGV: event id, round, 1 if the sender hung up.  Returns {state, reason}; 'left' if others still wait.
local id, is_gone = ARGV[1], ARGV[3] == '1'
local txn = load_txn(id)
if not txn or txn.round ~= ARGV[2] then return recorded_decision(id) end
local others = tonumber(txn.requests) - 1
if is_gone and redis.call('HINCRBY', TXN .. id, 'requests', -1) > 0 then return {'left', ''} end
if others <= 0 then txn.waiters = '' end  -- this caller gets its outcome as the reply of this script
if txn.state == 'completed' then
  if not is_gone and is_confirmable(txn) then
    confirm(id, txn)
    return {'completed', ''}
  end
  make_orphan(id, txn)
elseif txn.state == 'running' then
  decide(id, txn, 'abandoned', '')
elseif txn.state == 'waiting' then
  redis.call('LREM', QUEUE .. TRANSACTIONAL, 1, id)
  decide(id, txn, 'abandoned', '')
  finish_round(id, txn, '', false)
end
return {txn.state, redis.call('HGET', EVENT .. id, 'reason') or ''}
