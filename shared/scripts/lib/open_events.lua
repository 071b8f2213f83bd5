-- Open events: the states that they are in, and the filters of searches.

local RANK = {running = 1, waiting = 2, scheduled = 3, deferred = 4, dead = 5}

-- A job that is in no other state counts as waiting, because searching its queue costs the queue's length.
local function state_of_job(job_id)
  local queue = redis.call('HGET', JOB .. job_id, 'origin')
    or redis.call('HGET', EVENT .. event_of(job_id), 'queue:' .. handler_of(job_id)) or ''
  if is_claimed(job_id, queue) then return 'running' end
  if redis.call('ZSCORE', SCHEDULED .. queue, job_id) then return 'scheduled' end
  if redis.call('ZSCORE', DEFERRED .. queue, job_id) then return 'deferred' end
  if redis.call('ZSCORE', FAILED .. queue, job_id) then return 'dead' end
  return 'waiting'
end

-- The state of an event, '' if it is closed.
local function state_of(event_id)
  local found = ''
  for _, job_id in ipairs(expected_jobs(event_id)) do
    local state = state_of_job(job_id)
    if found == '' or RANK[state] < RANK[found] then found = state end
  end
  return found
end

-- Tells whether a list of names with commas in between has a name; every list has ''.
local function has_name(list, name)
  return name == '' or string.find(',' .. (list or '') .. ',', ',' .. name .. ',', 1, true) ~= nil
end

-- Tells whether an event matches a filter. `record` is a table with the fields received_at, type, user, tenant and
-- application. `wanted` is a list: type, user, tenant, application, since and until in ms; '' stands for any.
local function has_values(record, wanted)
  local received_at = tonumber(record.received_at or '')
  return received_at and received_at >= (tonumber(wanted[5]) or 0) and received_at <= (tonumber(wanted[6]) or math.huge)
    and (wanted[1] == '' or record.type == wanted[1]) and (wanted[2] == '' or record.user == wanted[2])
    and (wanted[3] == '' or record.tenant == wanted[3]) and has_name(record.application, wanted[4])
end
