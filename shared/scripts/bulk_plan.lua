-- Keep the plan of a bulk action for a while.
-- ARGV: id, seconds for which it is kept if it is not started, how many actions are kept, then fields and values.
local key = BULK .. ARGV[1]
redis.call('HSET', key, 'state', 'planned', 'created_at', now_ms, 'updated_at', now_ms, unpack(ARGV, 4))
redis.call('EXPIRE', key, ARGV[2])
redis.call('ZADD', BULKS, now_ms, ARGV[1])
for _, id in ipairs(redis.call('ZRANGE', BULKS, 0, -1)) do
  if redis.call('EXISTS', BULK .. id) == 0 then redis.call('ZREM', BULKS, id) end
end
local surplus = redis.call('ZCARD', BULKS) - tonumber(ARGV[3])
for _, id in ipairs(surplus > 0 and redis.call('ZRANGE', BULKS, 0, -1) or {}) do
  if surplus > 0 and id ~= ARGV[1] and redis.call('HGET', BULK .. id, 'state') ~= 'running' then
    redis.call('DEL', BULK .. id)
    redis.call('ZREM', BULKS, id)
    surplus = surplus - 1
  end
end
