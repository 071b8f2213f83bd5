-- Let jobs of a handler's own queue start again: end the pause that a handler has asked for, and close the breaker.
-- ARGV: queue.  Returns 1 if one of them was in force.
local key = LIMITS .. ARGV[1]
local known = redis.call('HMGET', key, 'closed_until', 'open_since')
local kept = redis.call('HMGET', key, 'declared', 'concurrency', 'rate', 'interval_ms', 'next_at')
redis.call('DEL', key, RECENT_FAILURES .. ARGV[1])
for i, name in ipairs({'declared', 'concurrency', 'rate', 'interval_ms', 'next_at'}) do
  if kept[i] then redis.call('HSET', key, name, kept[i]) end
end
return (tonumber(known[1] or 0) > now_ms or known[2]) and 1 or 0
