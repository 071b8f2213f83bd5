-- Announce a worker's handlers, for `handlers list`. ARGV: time to live in s, then names and descriptions.
redis.call('HSET', HANDLERS, unpack(ARGV, 2))
redis.call('EXPIRE', HANDLERS, ARGV[1])
