-- The deadline is there, or a sender has hung up: what is not settled by now is a no.
-- ARGV: event id, round, 1 if the sender hung up.  Returns {what stands, reason}; 'left' if others still wait.
local id, is_gone = ARGV[1], ARGV[3] == '1'
local txn = load_txn(id)
if not txn or txn.round ~= ARGV[2] then return remembered(id) end
local others = tonumber(txn.requests) - 1
if is_gone and redis.call('HINCRBY', TXN .. id, 'requests', -1) > 0 then return {'left', ''} end
if others <= 0 then txn.waiters = '' end  -- whoever asks gets its answer right here
if txn.state == 'completed' then
  if not is_gone and may_confirm(txn) then
    confirm(id, txn)
    return {'completed', ''}
  end
  orphan(id, txn)
elseif txn.state == 'running' then
  decide(id, txn, 'abandoned', '')
elseif txn.state == 'waiting' then
  redis.call('LREM', QUEUE .. TRANSACTIONAL, 1, id)
  decide(id, txn, 'abandoned', '')
  conclude(id, txn, '', false)
end
return {txn.state, redis.call('HGET', EVENT .. id, 'reason') or ''}
