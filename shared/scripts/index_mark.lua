-- Note how far a walk through the records or the rows of the index has come.  ARGV: field, value.
redis.call('HSET', INDEX_STATE, ARGV[1], ARGV[2])
return 1
