-- Register a process as alive, with the event types that it treats as transactional.
-- ARGV: kind, process, its queue ('' for none), the types, ms until the heartbeat expires, the other kind.
-- Returns the types that the live processes of the other kind treat as transactional.
local kind, process, ttl = ARGV[1], ARGV[2], tonumber(ARGV[5])

local function register(list)
  redis.call('ZREMRANGEBYSCORE', list, '-inf', now_ms - ttl)
  redis.call('ZADD', list, now_ms, process)
  redis.call('PEXPIRE', list, ttl)
end

redis.call('HSET', ALIVE .. kind .. ':' .. process, 'types', ARGV[4], 'queue', ARGV[3])
redis.call('PEXPIRE', ALIVE .. kind .. ':' .. process, ttl)
register(ALIVE .. kind)
if ARGV[3] ~= '' then register(ALIVE .. 'queue:' .. ARGV[3]) end
local found = {}
for _, other in ipairs(redis.call('ZRANGEBYSCORE', ALIVE .. ARGV[6], '(' .. now_ms - ttl, '+inf')) do
  local types = redis.call('HGET', ALIVE .. ARGV[6] .. ':' .. other, 'types')
  if types then table.insert(found, types) end
end
return found
