-- Count the jobs that fanned-out events must have: one for each handler that is not done with its event.
-- ARGV: event ids.  Returns a number for each; -1 for an event that is closed or not fanned out.
local fields_of = {}  -- by list of handlers, because most events have the same

local function fields(handlers)
  local states = fields_of[handlers]
  if not states then
    states = {'closed_at'}
    for name in string.gmatch(handlers, '[^,]+') do states[#states + 1] = 'state:' .. name end
    fields_of[handlers] = states
  end
  return states
end

local found = {}
for i, event_id in ipairs(ARGV) do
  local key = EVENT .. event_id
  local handlers = redis.call('HGET', key, 'handlers')
  found[i] = -1
  if handlers then
    local known = redis.call('HMGET', key, unpack(fields(handlers)))
    if not known[1] then
      local count = 0
      for at = 2, #known do
        if not known[at] then count = count + 1 end
      end
      found[i] = count
    end
  end
end
return found
