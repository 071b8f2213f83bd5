-- Move jobs whose time has come from the schedule to their queue.
-- ARGV: queue, how many at most, handler timeout.  Returns how many.
local queue = ARGV[1]
local due = redis.call('ZRANGEBYSCORE', SCHEDULED .. queue, '-inf', now_seconds, 'LIMIT', 0, ARGV[2])
for _, job_id in ipairs(due) do
  redis.call('ZREM', SCHEDULED .. queue, job_id)
  make_whole(job_id, queue, ARGV[3])
  enqueue(job_id, queue)
end
return #due
