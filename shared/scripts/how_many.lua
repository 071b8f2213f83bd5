-- How many jobs split events must have: one for each handler that is not done with its event.
-- ARGV: event ids.  Returns a number for each; -1 for an event that is closed or not split.
local found = {}
for i, event_id in ipairs(ARGV) do
  local key = EVENT .. event_id
  local known = redis.call('HMGET', key, 'handlers', 'closed_at')
  found[i] = -1
  if known[1] and not known[2] then
    local states = {}
    for name in string.gmatch(known[1], '[^,]+') do states[#states + 1] = 'state:' .. name end
    local count = 0
    for _, state in ipairs(redis.call('HMGET', key, unpack(states))) do
      if not state then count = count + 1 end
    end
    found[i] = count
  end
end
return found
