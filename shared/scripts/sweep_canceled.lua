-- Make dead letters of the jobs that an operator has cancelled with RQ's tools: they run no more by themselves, and a
-- replay gets them back. A running job ends first. A transaction is over at its deadline.
-- ARGV: queue, handler timeout, attempt, exc, failure.  Returns the dead letters.
local queue = ARGV[1]
local MOST = 1000
local buried = {}
for _, job_id in ipairs(redis.call('ZRANGE', CANCELED .. queue, 0, MOST - 1)) do
  local is_ours = redis.call('EXISTS', EVENT .. event_of(job_id)) == 1
  if is_ours and not is_claimed(job_id, queue) then
    redis.call('ZREM', CANCELED .. queue, job_id)
    if queue ~= TRANSACTIONAL and is_expected(job_id) then
      ensure_job(job_id, queue, ARGV[2])
      redis.call('ZREM', SCHEDULED .. queue, job_id)
      redis.call('ZREM', DEFERRED .. queue, job_id)
      if redis.call('HGET', JOB .. job_id, 'status') == 'queued' then redis.call('LREM', QUEUE .. queue, 0, job_id) end
      add_attempt_of(job_id, ARGV[3])
      bury(job_id, queue, ARGV[4], '', ARGV[5])
      table.insert(buried, job_id)
    end
  end
end
return buried
