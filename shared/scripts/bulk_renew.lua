-- Keep a bulk action while its runner waits, and note what became of its first event.
-- ARGV: id, token, 'succeeded' (the first event), 'again' (it is gone: the next is the first), 'left' (the
-- runner ends, and another may go on) or ''.
-- Returns 1, or 0 if it is not this runner's (any more).
local key = BULK .. ARGV[1]
if not renew_run(ARGV[1], ARGV[2]) then return 0 end
if ARGV[3] == 'succeeded' then redis.call('HSET', key, 'canary_succeeded', 1) end
if ARGV[3] == 'again' then redis.call('HDEL', key, 'canary') end
if ARGV[3] == 'left' then redis.call('HSET', key, 'lease_until', 0) end
return 1
