-- Record the outcome of a transactional event's handlers.
-- ARGV: event id, round, worker, claim, outcome (completed, rejected or failed), 1 if a handler was cut off and its
-- effect is unknown, reason, jobs that undo, jobs to queue once the response is confirmed, then attempts.
-- Returns the final outcome: this one, 'abandoned' if it came too late, or 'stale' if this run was presumed dead. A
-- repeated call, after a lost reply, returns the same.
local id, round, worker, claim, outcome, is_unknown = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6] == '1'
local reason, undo_jobs, commit_jobs = ARGV[7], ARGV[8], ARGV[9]
local txn = load_txn(id)
forget_run(worker, run_of(id, round, claim))
update_worker(worker, 'state', 'idle')

-- The final outcome of a run that was settled by an earlier call. Only the round's name is left of a confirmed round.
local function earlier_result()
  if not txn then return redis.call('HGET', EVENT .. id, 'confirmed') == round and 'completed' end
  return txn.round == round and redis.call('HGET', TXN .. id, 'reported_run') == run_of(worker, claim) and txn.state
end

-- End a running job's lease, as if it had expired: its process can change nothing any more.
local function end_lease(job_id, queue)
  local claim = job_id .. ':' .. (redis.call('HGET', EVENT .. id, 'claim:' .. handler_of(job_id)) or '')
  if redis.call('ZREM', LEASES .. queue, claim) == 0 then return end
  redis.call('SREM', PROCESS_CLAIMS .. token_prefix_of(claim), claim)
  hide_execution(queue, job_id, claim)
end

-- Handle the end of a run that was presumed dead and undone. Its effect may be later than the undo, so the undo runs
-- again, and the orphan is listed again if it was resolved. It was counted as orphaned before.
local function finish_presumed_dead()
  local key = EVENT .. id
  if redis.call('HGET', key, 'presumed_dead') ~= run_of(round, worker, claim) then return end
  redis.call('HDEL', key, 'presumed_dead')
  local is_orphan = is_unknown or outcome == 'completed'
  if is_orphan then redis.call('ZADD', ORPHANS, 'NX', now_ms, id) end
  if not is_orphan and undo_jobs == '' then return end
  redis.call('PERSIST', key)
  redis.call('PERSIST', ATTEMPTS .. id)
  for i = 10, #ARGV do add_attempt(id, ARGV[i]) end
  if undo_jobs == '' then return end
  redis.call('DECRBY', EXTRA_JOBS, math.max(0, #expected_jobs(id) - 1))
  for name in string.gmatch(redis.call('HGET', key, 'handlers') or '', '[^,]+') do
    end_lease(id .. '_' .. name, redis.call('HGET', key, 'queue:' .. name))
  end
  drop_jobs(id)
  reopen(id)
  queue_follow_ups(id, {}, undo_jobs, 'abandoned')
end

if not is_current_run(txn, round, worker, claim) then
  local earlier = earlier_result()
  if earlier then return earlier end
  finish_presumed_dead()
  return 'stale'
end
for i = 10, #ARGV do add_attempt(id, ARGV[i]) end
if redis.call('EXISTS', WORKER .. worker) == 1 then
  redis.call('HINCRBY', WORKER .. worker, outcome == 'completed' and 'successful_job_count' or 'failed_job_count', 1)
end
if txn.state == 'running' and now_ms <= txn.deadline then
  if outcome == 'completed' then
    redis.call('HSET', TXN .. id, 'state', 'completed', 'running', '', 'undo_jobs', undo_jobs,
      'commit_jobs', commit_jobs, 'reported_run', run_of(worker, claim))
    notify_waiters(id, txn, 'completed', '')
    return 'completed'
  end
  decide(id, txn, outcome, reason)
elseif txn.state == 'running' then
  decide(id, txn, 'abandoned', '')
end
redis.call('HSET', TXN .. id, 'reported_run', run_of(worker, claim))
finish_round(id, txn, undo_jobs, is_unknown or outcome == 'completed')
return txn.state
