-- Forget the failure groups without dead letters that were last seen long ago. It is safe to repeat.
-- ARGV: retention in s.
local before = now_ms - tonumber(ARGV[1]) * 1000
for _, handler in ipairs(redis.call('SMEMBERS', GROUP_HANDLERS)) do
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', GROUPS .. handler, '-inf', before)) do drop_group(id, handler) end
  if redis.call('EXISTS', GROUPS .. handler) == 0 then redis.call('SREM', GROUP_HANDLERS, handler) end
end
