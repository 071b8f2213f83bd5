-- Queue due retries of handlers' own queues, and record their limits for `queues list`.
-- ARGV: limit, handler timeout, then queue and limits of each.  Returns the queues in which a job may start now.
local ready = {}
for at = 3, #ARGV, 2 do
  local queue, text = ARGV[at], ARGV[at + 1]
  promote_due(queue, ARGV[1], ARGV[2])
  if redis.call('HGET', LIMITS .. queue, 'declared') ~= text then
    redis.call('HSET', LIMITS .. queue, 'declared', text)
    redis.call('SADD', OUR_QUEUES, queue)
  end
  if redis.call('LLEN', QUEUE .. queue) > 0 and may_start(read_limits(queue, text)) > 0 then table.insert(ready, queue) end
end
return ready
