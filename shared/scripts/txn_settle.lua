-- The handlers of a transactional event are through.
-- ARGV: event id, round, worker, outcome (completed, rejected or failed), 1 if a handler was cut off and nobody knows
-- what it did, reason, parts to undo, parts to tell once the answer is confirmed, then attempts.
-- Returns what stands: the outcome, 'abandoned' if it came too late, or 'stale' if this run was given up for dead.
local id, worker, outcome, is_unknown = ARGV[1], ARGV[3], ARGV[4], ARGV[5] == '1'
local txn = load_txn(id)
if redis.call('GET', TXN_RUN .. worker) == id .. ' ' .. ARGV[2] then redis.call('DEL', TXN_RUN .. worker) end
tell_worker(worker, 'state', 'idle')
if not txn or txn.round ~= ARGV[2] or not txn.running or txn.worker ~= worker then return 'stale' end
for i = 9, #ARGV do remember_attempt(id, ARGV[i]) end
if redis.call('EXISTS', WORKER .. worker) == 1 then
  redis.call('HINCRBY', WORKER .. worker, outcome == 'completed' and 'successful_job_count' or 'failed_job_count', 1)
end
if txn.state == 'running' and now_ms <= txn.deadline then
  if outcome == 'completed' then
    redis.call('HSET', TXN .. id, 'state', 'completed', 'running', '', 'undo', ARGV[7], 'facts', ARGV[8])
    wake(id, txn, 'completed', '')
    return 'completed'
  end
  decide(id, txn, outcome, ARGV[6])
elseif txn.state == 'running' then
  decide(id, txn, 'abandoned', '')
end
conclude(id, txn, ARGV[7], is_unknown or outcome == 'completed')
return txn.state
