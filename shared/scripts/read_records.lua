-- Read many records in one call. ARGV: 1 for bodies, 0 for the lengths of bodies, then event ids.
-- Returns for each: user, the fingerprint of its key, and its body or the body's length.
local found = {}
for i = 2, #ARGV do
  local key = EVENT .. ARGV[i]
  local known = redis.call('HMGET', key, 'user', 'key_id')
  local body
  if ARGV[1] == '1' then body = redis.call('HGET', key, 'body') else body = redis.call('HSTRLEN', key, 'body') end
  table.insert(found, {known[1], known[2], body})
end
return found
