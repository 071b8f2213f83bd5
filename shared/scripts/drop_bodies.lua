-- Delete the bodies of events that were closed long enough ago. Their records stay. It is safe to repeat.
-- ARGV: body retention in s, limit.  Returns how many events were looked at.
local closed_before, seen = now_ms - tonumber(ARGV[1]) * 1000, 0

-- An orphan's body stays until a person has resolved it, and that of a run that may still end until the record expires.
local function is_done_with(event_id, closed_at)
  local record = redis.call('HMGET', EVENT .. event_id, 'closed_at', 'given_up')
  return record[1] == closed_at and not record[2] and not redis.call('ZSCORE', ORPHANS, event_id)
end

for _, entry in ipairs(redis.call('LRANGE', CLOSED_BODIES, 0, ARGV[2] - 1)) do
  local event_id, closed_at = string.match(entry, '^(%S+) (%d+)$')
  if event_id and tonumber(closed_at) > closed_before then break end
  seen = seen + 1
  if event_id and is_done_with(event_id, closed_at) then redis.call('HDEL', EVENT .. event_id, 'body', 'key_id') end
end
if seen > 0 then redis.call('LTRIM', CLOSED_BODIES, seen, -1) end
return seen
