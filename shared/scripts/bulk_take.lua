-- Become the runner of a started bulk action that has none.
-- ARGV: id, token.  Returns 1, or 0 if it has one, or is not to run (any more).
local key = BULK .. ARGV[1]
local known = redis.call('HMGET', key, 'state', 'lease_until')
if known[1] ~= 'running' or tonumber(known[2]) > now_ms then return 0 end
redis.call('HSET', key, 'token', ARGV[2])
renew_run(ARGV[1], ARGV[2])
redis.call('EXPIRE', key, BULK_KEPT_SECONDS)
return 1
