-- Replace a stored body by the same one under another key.
-- ARGV: event id, the old key's fingerprint ('': plain), the new body, the new key's fingerprint.
-- Returns 1, or 0 if the stored body has another key (any more): changed by another process, erased, expired.
local key = EVENT .. ARGV[1]
if redis.call('HEXISTS', key, 'body') == 0 or (redis.call('HGET', key, 'key_id') or '') ~= ARGV[2] then return 0 end
redis.call('HSET', key, 'body', ARGV[3], 'key_id', ARGV[4])
return 1
