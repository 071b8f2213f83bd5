-- Forget the failure groups without dead letters that were last seen long ago. It is safe to repeat.
-- ARGV: retention in s, how many at most.  Returns how many were forgotten.
local before, left = now_ms - tonumber(ARGV[1]) * 1000, tonumber(ARGV[2])
local counts = read_letters()
for _, handler in ipairs(redis.call('SMEMBERS', GROUP_HANDLERS)) do
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', GROUPS .. handler, '-inf', before)) do
    if left > 0 and not counts[score_of_group(id)] then
      redis.call('DEL', GROUP .. id)
      redis.call('ZREM', GROUPS .. handler, id)
      left = left - 1
    end
  end
  if redis.call('EXISTS', GROUPS .. handler) == 0 then redis.call('SREM', GROUP_HANDLERS, handler) end
end
return tonumber(ARGV[2]) - left
