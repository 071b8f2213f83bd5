-- Move jobs that are due from the schedule to their queue.
-- ARGV: queue, limit, handler timeout.  Returns the number of jobs moved.
local queue = ARGV[1]
local due = redis.call('ZRANGEBYSCORE', SCHEDULED .. queue, '-inf', now_seconds, 'LIMIT', 0, ARGV[2])
for _, job_id in ipairs(due) do
  redis.call('ZREM', SCHEDULED .. queue, job_id)
  local has_job = redis.call('HEXISTS', JOB .. job_id, 'data') == 1
  local has_record = has_job or redis.call('EXISTS', EVENT .. event_of(job_id)) == 1
  if not has_job and has_record then create_job(job_id, queue, ARGV[3]) end
  if has_record then enqueue(job_id, queue) end  -- else another application has deleted its job
end
return #due
