-- Move the jobs that wait on a handler's own queue, or are scheduled there, to another queue, unless workers serve it.
-- ARGV: queue, target, limit, handler timeout.  Returns how many were moved.
local queue, target, most, timeout = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
for _, worker in ipairs(redis.call('SMEMBERS', WORKERS_OF .. queue)) do
  if redis.call('EXISTS', worker) == 1 then return 0 end
end
local waiting = redis.call('LPOP', QUEUE .. queue, most) or {}
for _, job_id in ipairs(waiting) do move_job(job_id, handler_of(job_id), target, timeout) end
local scheduled = redis.call('ZRANGE', SCHEDULED .. queue, 0, most - 1, 'WITHSCORES')
for i = 1, #scheduled, 2 do
  local job_id = scheduled[i]
  redis.call('ZREM', SCHEDULED .. queue, job_id)
  ensure_job(job_id, target, timeout)
  redis.call('HSET', JOB .. job_id, 'origin', target)
  redis.call('HSET', EVENT .. event_of(job_id), 'queue:' .. handler_of(job_id), target)
  redis.call('ZADD', SCHEDULED .. target, scheduled[i + 1], job_id)
  register_queue(target)
end
return #waiting + #scheduled / 2
