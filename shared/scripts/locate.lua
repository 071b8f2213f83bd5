-- Find the state of open events. ARGV: event ids.  Returns a word for each, '' if it is closed.
-- A job that is in no other state counts as waiting, because searching its queue costs the queue's length.
local RANK = {running = 1, waiting = 2, scheduled = 3, deferred = 4, dead = 5}

local function state_of(job_id)
  local queue = redis.call('HGET', JOB .. job_id, 'origin')
    or redis.call('HGET', EVENT .. event_of(job_id), 'queue:' .. handler_of(job_id)) or ''
  if is_claimed(job_id, queue) then return 'running' end
  if redis.call('ZSCORE', SCHEDULED .. queue, job_id) then return 'scheduled' end
  if redis.call('ZSCORE', DEFERRED .. queue, job_id) then return 'deferred' end
  if redis.call('ZSCORE', FAILED .. queue, job_id) then return 'dead' end
  return 'waiting'
end

local found = {}
for i, event_id in ipairs(ARGV) do
  found[i] = ''
  for _, job_id in ipairs(expected_jobs(event_id)) do
    local state = state_of(job_id)
    if found[i] == '' or RANK[state] < RANK[found[i]] then found[i] = state end
  end
end
return found
