-- Set a key, unless it is there.  ARGV: key, value, ms until it expires (0: never).  Returns 1 or 0, and its value now.
local key, value, ms = ARGV[1], ARGV[2], tonumber(ARGV[3])
local is_set = ms > 0 and redis.call('SET', key, value, 'NX', 'PX', ms) or ms == 0 and redis.call('SET', key, value, 'NX')
return {is_set and 1 or 0, redis.call('GET', key)}
