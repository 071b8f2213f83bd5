-- A worker that cannot start the handlers of a transactional event leaves it to another, while there is time.
-- ARGV: event id, round, worker.  Returns 'done', 'abandoned' if its time is over, or 'stale'.
local id, worker = ARGV[1], ARGV[3]
local txn = load_txn(id)
if redis.call('GET', TXN_RUN .. worker) == id .. ' ' .. ARGV[2] then redis.call('DEL', TXN_RUN .. worker) end
tell_worker(worker, 'state', 'idle')
if not txn or txn.round ~= ARGV[2] or not txn.running or txn.worker ~= worker then return 'stale' end
if txn.state == 'running' and now_ms <= txn.deadline then
  redis.call('HSET', TXN .. id, 'state', 'waiting', 'running', '')
  redis.call('HDEL', TXN .. id, 'worker', 'process')
  redis.call('ZREM', WIP .. TRANSACTIONAL, id .. ':' .. id)
  enqueue_first(id, TRANSACTIONAL)
  ring()
  return 'done'
end
if txn.state == 'running' then decide(id, txn, 'abandoned', '') end
conclude(id, txn, '', false)
return 'abandoned'
