-- A stored body under another key.
-- ARGV: event id, the fingerprint it has ('': plain), the body anew, its fingerprint.
-- Returns 1, or 0 if that is not so (any more): changed by another, erased, expired.
local key = EVENT .. ARGV[1]
if redis.call('HEXISTS', key, 'body') == 0 or (redis.call('HGET', key, 'key_id') or '') ~= ARGV[2] then return 0 end
redis.call('HSET', key, 'body', ARGV[3], 'key_id', ARGV[4])
return 1
