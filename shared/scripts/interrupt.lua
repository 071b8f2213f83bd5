-- Return the job of a claim whose process is dead or cut off. A started job runs again, or becomes a dead letter after
-- too many interruptions; a reserved job goes back uncounted.
-- ARGV: queue, job id, token, attempt, exc for a dead letter, interruptions allowed (0: this one does not count),
-- evidence: 'expired' (only the lease has expired), 'started' or 'reserved' (the process is gone and left the claim in
-- this state), handler timeout, failure for a dead letter, the run's handler ('' if it is not known).
-- Returns 'requeued', 'buried', 'returned', or 'stale' (finished, renewed or recovered by another).
local queue, job_id, token, allowed, known, timeout = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[6]), ARGV[7], ARGV[8]
-- Longer than any lease: one that ends later was written before the store's clock was set back, and never renewed since.
local LONGEST_LEASE_MS = 20000
local claim = job_id .. ':' .. token
local expires_at = redis.call('ZSCORE', LEASES .. queue, claim)
if not expires_at then return 'stale' end
local left_ms = tonumber(expires_at) - now_ms
if known == 'expired' and left_ms > 0 and left_ms <= LONGEST_LEASE_MS then return 'stale' end
local worker = redis.call('HGET', EXECUTION .. claim, 'worker_name')
if not release(queue, job_id, token) then return 'stale' end
if redis.call('EXISTS', EVENT .. event_of(job_id)) == 0 then
  delete_job(job_id)  -- its record was deleted while it ran
  return 'stale'
end
if known == 'reserved' or (known == 'expired' and not worker) then
  redis.call('HINCRBY', EVENT .. event_of(job_id), 'runs:' .. handler_of(job_id), -1)
  reset_run_fields(job_id, queue, timeout)
  enqueue_first(job_id, queue)
  return 'returned'
end
write_to_job(job_id, queue, timeout, 'ended_at', iso_now())
add_attempt(job_id, ARGV[4])
if allowed > 0 then
  local count = redis.call('HINCRBY', EVENT .. event_of(job_id), 'interrupted:' .. handler_of(job_id), 1)
  if count >= allowed then
    if ARGV[10] ~= '' then assign_handler(job_id, ARGV[10]) end  -- a failure that ends its event, as any other
    bury(job_id, queue, ARGV[5], worker or '', ARGV[9])
    return 'buried'
  end
  if count > 1 then
    -- This job may be what kills processes, so the others go first.
    enqueue(job_id, queue)
    return 'requeued'
  end
end
enqueue_first(job_id, queue)
return 'requeued'
