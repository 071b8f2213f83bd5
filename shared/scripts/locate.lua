-- Find the state of open events. ARGV: event ids.  Returns a word for each, '' if it is closed.
local found = {}
for i, event_id in ipairs(ARGV) do found[i] = state_of(event_id) end
return found
