-- The process that ran a job is dead or cut off. The job runs again, or is buried when it killed too many.
-- ARGV: queue, job id, token, worker, attempt, exc for a burial, interruptions allowed (0: this one does not count),
-- 1 if the process is known to be gone (else the lease must have lapsed).
-- Returns 'requeued', 'buried', or 'stale' (settled, renewed or recovered meanwhile).
local queue, job_id, token, allowed = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[7])
local lapses_at = redis.call('ZSCORE', LEASES .. queue, job_id .. ':' .. token)
if not lapses_at or (ARGV[8] ~= '1' and tonumber(lapses_at) > now_ms) then return 'stale' end
if not release(queue, job_id, token) then return 'stale' end
if redis.call('EXISTS', EVENT .. event_of(job_id)) == 0 then
  delete_job(job_id)  -- its record was deleted while it ran
  return 'stale'
end
remember_attempt(job_id, ARGV[5])
if allowed > 0 then
  local count = redis.call('HINCRBY', EVENT .. event_of(job_id), 'interrupted:' .. part_of(job_id), 1)
  if count >= allowed then
    bury(job_id, queue, ARGV[6], ARGV[4])
    return 'buried'
  end
  if count > 1 then
    -- It may be what kills: the others go first.
    enqueue(job_id, queue)
    return 'requeued'
  end
end
enqueue_first(job_id, queue)
return 'requeued'
