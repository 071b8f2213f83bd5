-- Queue due retries of handlers' own queues, and record their limits for `queues list`.
-- ARGV: how many retries of all queues together, handler timeout, then queue and limits of each.
-- Returns the queues in which a job may start now, and 1 if more retries may be due.
local ready, are_more = {}, 0
local share = math.ceil(2 * ARGV[1] / (#ARGV - 2))  -- the same for each queue, so that none waits for another
for at = 3, #ARGV, 2 do
  local queue, text = ARGV[at], ARGV[at + 1]
  if promote_due(queue, share, ARGV[2]) == share then are_more = 1 end
  if redis.call('HGET', LIMITS .. queue, 'declared') ~= text then
    redis.call('HSET', LIMITS .. queue, 'declared', text)
    redis.call('SADD', OUR_QUEUES, queue)
  end
  if redis.call('LLEN', QUEUE .. queue) > 0 and may_start(read_limits(queue, text)) > 0 then table.insert(ready, queue) end
end
return {ready, are_more}
