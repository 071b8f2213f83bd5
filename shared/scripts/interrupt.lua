-- The process that held a claim is dead or cut off. A job that it had started runs again, or is buried when it killed
-- too many; one that was only reserved goes back unharmed.
-- ARGV: queue, job id, token, attempt, exc for a burial, interruptions allowed (0: this one does not count),
-- what is known: 'lapsed' (nothing but that its lease is over), 'started' or 'reserved' (the process is gone, and this is
-- how it left the claim), handler timeout.
-- Returns 'requeued', 'buried', 'unharmed', or 'stale' (settled, renewed or recovered meanwhile).
local queue, job_id, token, allowed, known, timeout = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[6]), ARGV[7], ARGV[8]
local claim = job_id .. ':' .. token
local lapses_at = redis.call('ZSCORE', LEASES .. queue, claim)
if not lapses_at or (known == 'lapsed' and tonumber(lapses_at) > now_ms) then return 'stale' end
local worker = redis.call('HGET', EXECUTION .. claim, 'worker_name')
if not release(queue, job_id, token) then return 'stale' end
if redis.call('EXISTS', EVENT .. event_of(job_id)) == 0 then
  delete_job(job_id)  -- its record was deleted while it ran
  return 'stale'
end
if known == 'reserved' or (known == 'lapsed' and not worker) then
  redis.call('HINCRBY', EVENT .. event_of(job_id), 'runs:' .. part_of(job_id), -1)
  write_untaken(job_id, queue, timeout)
  enqueue_first(job_id, queue)
  return 'unharmed'
end
write_to_job(job_id, queue, timeout, 'ended_at', iso_now())
remember_attempt(job_id, ARGV[4])
if allowed > 0 then
  local count = redis.call('HINCRBY', EVENT .. event_of(job_id), 'interrupted:' .. part_of(job_id), 1)
  if count >= allowed then
    bury(job_id, queue, ARGV[5], worker or '')
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
