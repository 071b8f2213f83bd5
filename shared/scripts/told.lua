-- The hooks have been told of a dead letter. If it has died again since, they are told again.
-- ARGV: job id, lease.  Returns 1, or 0 if the lease is another's.
if redis.call('ZSCORE', UNTOLD, ARGV[1]) ~= ARGV[2] then return 0 end
return redis.call('ZREM', UNTOLD, ARGV[1])
