-- Find closed events that the index does not show, or shows without the e-mail address.  ARGV: event ids.
-- Returns for each of them: id, type, tenant, application, user, received at, the fingerprint of its body's key, and the
-- length of its body (0 if it has expired).
local found = {}
for _, event_id in ipairs(ARGV) do
  local record = redis.call('HMGET', EVENT .. event_id, 'closed_at', 'row', 'type', 'tenant', 'application', 'user',
    'received_at', 'key_id')
  local number = tonumber(record[2] or '')
  if record[1] and record[3] and tonumber(record[7] or '') and not (number and is_finished_row(event_id, number)) then
    table.insert(found, {event_id, record[3], record[4] or '', record[5] or '', record[6] or '', record[7],
      record[8] or '', redis.call('HSTRLEN', EVENT .. event_id, 'body')})
  end
end
return found
