-- Move jobs that are due from the schedule to their queue.
-- ARGV: queue, limit, handler timeout.  Returns the number of jobs moved.
local queue = ARGV[1]
local due = redis.call('ZRANGEBYSCORE', SCHEDULED .. queue, '-inf', now_seconds, 'LIMIT', 0, ARGV[2])
for _, job_id in ipairs(due) do
  redis.call('ZREM', SCHEDULED .. queue, job_id)
  ensure_job(job_id, queue, ARGV[3])
  enqueue(job_id, queue)
end
return #due
