-- A worker that cannot start the handlers of a transactional event leaves it to another, while there is time.
-- ARGV: event id, round, worker, claim.  Returns 'done', 'abandoned' if its time is over, or 'stale'.
local id, round, worker, claim = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local txn = load_txn(id)
forget_run(worker, run_of(id, round, claim))
tell_worker(worker, 'state', 'idle')
if not is_in_force(txn, round, worker, claim) then return 'stale' end
if txn.state == 'running' and now_ms <= txn.deadline then
  redis.call('HSET', TXN .. id, 'state', 'waiting', 'running', '')
  redis.call('HDEL', TXN .. id, 'worker', 'process', 'claim')
  redis.call('ZREM', WIP .. TRANSACTIONAL, id .. ':' .. id)
  enqueue_first(id, TRANSACTIONAL)
  ring()
  return 'done'
end
if txn.state == 'running' then decide(id, txn, 'abandoned', '') end
conclude(id, txn, '', false)
return 'abandoned'
