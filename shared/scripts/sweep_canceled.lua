-- Make dead letters of the jobs that an operator has cancelled with RQ's tools: they run no more by themselves, and a
-- replay gets them back. A running job ends first. A transaction is over at its deadline.
-- ARGV: queue, handler timeout, attempt, exc, failure, then job ids of the canceled registry.  Returns how many dead
-- letters it made.
local queue = ARGV[1]
local buried = 0
for i = 6, #ARGV do
  local job_id = ARGV[i]
  local is_ours = redis.call('EXISTS', EVENT .. event_of(job_id)) == 1 and redis.call('ZSCORE', CANCELED .. queue, job_id)
  if is_ours and not is_claimed(job_id, queue) then
    redis.call('ZREM', CANCELED .. queue, job_id)
    if queue ~= TRANSACTIONAL and is_expected(job_id) then
      ensure_job(job_id, queue, ARGV[2])
      redis.call('ZREM', SCHEDULED .. queue, job_id)
      redis.call('ZREM', DEFERRED .. queue, job_id)
      if redis.call('HGET', JOB .. job_id, 'status') == 'queued' then redis.call('LREM', QUEUE .. queue, 0, job_id) end
      add_attempt_of(job_id, ARGV[3])
      bury(job_id, queue, ARGV[4], '', ARGV[5])
      buried = buried + 1
    end
  end
end
return buried
