-- Read many records at once. ARGV: 1 for their bodies, 0 for the length of those, then event ids.
-- Returns for each: user, the fingerprint of its key, its body or the length of that.
local found = {}
for i = 2, #ARGV do
  local key = EVENT .. ARGV[i]
  local known = redis.call('HMGET', key, 'user', 'key_id')
  local body
  if ARGV[1] == '1' then body = redis.call('HGET', key, 'body') else body = redis.call('HSTRLEN', key, 'body') end
  table.insert(found, {known[1], known[2], body})
end
return found
