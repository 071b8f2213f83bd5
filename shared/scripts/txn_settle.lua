-- The handlers of a transactional event are through.
-- ARGV: event id, round, worker, claim, outcome (completed, rejected or failed), 1 if a handler was cut off and nobody
-- knows what it did, reason, parts to undo, parts to tell once the answer is confirmed, then attempts.
-- Returns what stands: the outcome, 'abandoned' if it came too late, or 'stale' if this run was given up for dead.
local id, round, worker, claim, outcome, is_unknown = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6] == '1'
local reason, undo, facts = ARGV[7], ARGV[8], ARGV[9]
local txn = load_txn(id)
forget_run(worker, run_of(id, round, claim))
tell_worker(worker, 'state', 'idle')
if not is_in_force(txn, round, worker, claim) then return 'stale' end
for i = 10, #ARGV do remember_attempt(id, ARGV[i]) end
if redis.call('EXISTS', WORKER .. worker) == 1 then
  redis.call('HINCRBY', WORKER .. worker, outcome == 'completed' and 'successful_job_count' or 'failed_job_count', 1)
end
if txn.state == 'running' and now_ms <= txn.deadline then
  if outcome == 'completed' then
    redis.call('HSET', TXN .. id, 'state', 'completed', 'running', '', 'undo', undo, 'facts', facts)
    wake(id, txn, 'completed', '')
    return 'completed'
  end
  decide(id, txn, outcome, reason)
elseif txn.state == 'running' then
  decide(id, txn, 'abandoned', '')
end
conclude(id, txn, undo, is_unknown or outcome == 'completed')
return txn.state
