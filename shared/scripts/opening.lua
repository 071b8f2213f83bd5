-- The clock and RQ's job hash. Of what stands here and in the other shared files a script gets what it uses, behind the
-- key names from keys.py: so all of it is definitions, each of which begins at the margin and has nothing else there.

local RESULT_TTL_SECONDS = 500  -- RQ's default

local clock = redis.call('TIME')
local now_seconds = tonumber(clock[1]) + tonumber(clock[2]) / 1000000
local now_ms = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)

-- The date of a number of days since 1970 (Hinnant, chrono-compatible low-level date algorithms).
local function civil(days)
  local z = days + 719468
  local era = math.floor(z / 146097)
  local doe = z - era * 146097
  local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524) - math.floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
  local mp = math.floor((5 * doy + 2) / 153)
  local day = doy - math.floor((153 * mp + 2) / 5) + 1
  local month = mp < 10 and mp + 3 or mp - 9
  return yoe + era * 400 + (month <= 2 and 1 or 0), month, day
end

-- Now, as RQ writes instants.
local iso
local function iso_now()
  if iso then return iso end
  local seconds = tonumber(clock[1])
  local year, month, day = civil(math.floor(seconds / 86400))
  local rest = seconds % 86400
  iso = string.format('%04d-%02d-%02dT%02d:%02d:%02d.%06dZ', year, month, day,
    math.floor(rest / 3600), math.floor(rest % 3600 / 60), rest % 60, tonumber(clock[2]))
  return iso
end

local function event_of(job_id) return string.sub(job_id, 1, 36) end
local function part_of(job_id) return string.sub(job_id, 38) end

-- Write RQ's job hash, as RQ's own enqueue would. Its timeouts are whole seconds: on any other it fails to read the job.
local function write_job(job_id, queue, timeout, event_type, now)
  local event_id, part = event_of(job_id), part_of(job_id)
  local description = event_type .. ' ' .. string.sub(event_id, 1, 8) .. '…'
  if part ~= '' then description = description .. ' ' .. part end
  redis.call('DEL', JOB .. job_id)
  redis.call('HSET', JOB .. job_id, 'created_at', now, 'enqueued_at', now, 'started_at', '', 'ended_at', '',
    'last_heartbeat', '', 'data', '["surehook.workers.jobs.handle",null,["' .. event_id .. '"],{}]', 'origin', queue,
    'description', description, 'status', 'queued',
    'timeout', math.ceil(tonumber(timeout)), 'result_ttl', RESULT_TTL_SECONDS,
    'failure_ttl', -1, 'worker_name', '', 'group_id', '', 'success_callback_name', '',
    'failure_callback_name', '', 'stopped_callback_name', '')
end

local function know_queue(queue)
  redis.call('SADD', QUEUES, QUEUE .. queue)
  redis.call('SADD', OUR_QUEUES, queue)
end
