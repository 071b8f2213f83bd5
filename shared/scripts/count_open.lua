-- Count the open events among some that match a filter.
-- ARGV: type, user, tenant and application ('': any), since and until in ms ('': any), a handler ('': any), states with
-- commas in between ('': any), event ids.
local wanted, handler, states = {unpack(ARGV, 1, 6)}, ARGV[7], ARGV[8]

-- The handlers of an event, with commas in between. That of an event which has not been handed to its handlers yet is
-- known from its last run.
local function handlers_of(event_id, record)
  if (record.handlers or '') ~= '' then return record.handlers end
  if (record.handler or '') ~= '' then return record.handler end
  local last = redis.call('LINDEX', ATTEMPTS .. event_id, -1)
  return last and cjson.decode(last).handler or ''
end

local function matches(event_id)
  local read = redis.call('HMGET', EVENT .. event_id, 'received_at', 'type', 'user', 'tenant', 'application', 'handlers',
    'handler', 'closed_at')
  local record = {received_at = read[1], type = read[2], user = read[3], tenant = read[4], application = read[5],
    handlers = read[6], handler = read[7]}
  return not read[8] and has_values(record, wanted)
    and (handler == '' or has_name(handlers_of(event_id, record), handler))
    and (states == '' or has_name(states, state_of(event_id)))
end

local number = 0
for i = 9, #ARGV do
  if matches(ARGV[i]) then number = number + 1 end
end
return number
