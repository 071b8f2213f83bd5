-- Count the failure groups with dead letters, without looking at each letter.
-- ARGV: how many at most.  Returns the number.
local groups, count = {}, 0
for _, queue in ipairs(redis.call('SMEMBERS', OUR_QUEUES)) do
  local one = redis.call('ZRANGEBYSCORE', FAILED .. queue, FIRST_GROUP, LAST_GROUP, 'WITHSCORES', 'LIMIT', 0, 1)
  while one[2] and count < tonumber(ARGV[1]) do
    if not groups[one[2]] then count = count + 1 end
    groups[one[2]] = true
    one = redis.call('ZRANGEBYSCORE', FAILED .. queue, '(' .. one[2], LAST_GROUP, 'WITHSCORES', 'LIMIT', 0, 1)
  end
end
return count
