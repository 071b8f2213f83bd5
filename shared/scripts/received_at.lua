-- Read when events were received.  ARGV: event ids.  Returns an instant in ms for each, '' for one without a record.
local found = {}
for i, event_id in ipairs(ARGV) do found[i] = redis.call('HGET', EVENT .. event_id, 'received_at') or '' end
return found
