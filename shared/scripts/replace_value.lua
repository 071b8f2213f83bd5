-- Replace a string unless it has changed.  ARGV: key, its value, the new value.  Returns 1, or 0 if it has changed.
if redis.call('GET', ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('SET', ARGV[1], ARGV[3])
return 1
