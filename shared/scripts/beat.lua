-- A process lives, and says what it takes for transactional.
-- ARGV: kind, process, its queue ('' for none), the types, ms until it is forgotten, the other kind.
-- Returns what the living processes of the other kind take for transactional.
local kind, process, ttl = ARGV[1], ARGV[2], tonumber(ARGV[5])

local function beat(list)
  redis.call('ZREMRANGEBYSCORE', list, '-inf', now_ms - ttl)
  redis.call('ZADD', list, now_ms, process)
  redis.call('PEXPIRE', list, ttl)
end

redis.call('HSET', ALIVE .. kind .. ':' .. process, 'types', ARGV[4], 'queue', ARGV[3])
redis.call('PEXPIRE', ALIVE .. kind .. ':' .. process, ttl)
beat(ALIVE .. kind)
if ARGV[3] ~= '' then beat(ALIVE .. 'queue:' .. ARGV[3]) end
local found = {}
for _, other in ipairs(redis.call('ZRANGEBYSCORE', ALIVE .. ARGV[6], '(' .. now_ms - ttl, '+inf')) do
  local types = redis.call('HGET', ALIVE .. ARGV[6] .. ':' .. other, 'types')
  if types then table.insert(found, types) end
end
return found
