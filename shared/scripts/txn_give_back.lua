-- Give a transactional event back to its queue, while there is time: this worker cannot start its handlers.
-- ARGV: event id, round, worker, claim.  Returns 'done', 'abandoned' if its time is over, or 'stale'.
local id, round, worker, claim = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local txn = load_txn(id)
forget_run(worker, run_of(id, round, claim))
show_worker(worker, 'idle')
if not is_current_run(txn, round, worker, claim) then return 'stale' end
if txn.state == 'running' and now_ms <= txn.deadline then
  redis.call('HSET', TXN .. id, 'state', 'waiting', 'running', '')
  redis.call('HDEL', TXN .. id, 'worker', 'process', 'claim')
  redis.call('ZREM', WIP .. TRANSACTIONAL, id .. ':' .. id)
  enqueue_first(id, TRANSACTIONAL)
  wake_workers(1)
  return 'done'
end
end_unstarted(id, txn)
return 'abandoned'
