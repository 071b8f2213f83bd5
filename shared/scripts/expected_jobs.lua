-- List the jobs that open events must have: the event's own, or one for each handler that is not done with it.
-- ARGV: event ids.  Returns a list for each event: job ids, or nothing if it is closed.
local found = {}
for i, event_id in ipairs(ARGV) do
  found[i] = expected_jobs(event_id)
end
return found
