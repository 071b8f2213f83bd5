-- The clock, and RQ's keys: job hashes, queues, executions, workers and results.
-- A script gets only the definitions that it uses from this folder, placed behind the key names from keys.py. So these
-- files hold nothing but definitions, each beginning at the margin. See script_linker.py, also for `-- rare`.

local RESULT_TTL_SECONDS = 500  -- RQ's default
local FAR_FUTURE_SECONDS = 31536000  -- RQ's tools fail a job whose rq:wip entry has expired: ours never does
local SET_ASIDE_MS = 10000
local FIELDS_OF_A_JOB = 17  -- as many as `write_job` writes
local WORKER_TTL_SECONDS = 90        -- as RQ's own heartbeat sets it for our workers

local clock = redis.call('TIME')
local now_seconds = tonumber(clock[1]) + tonumber(clock[2]) / 1000000
local now_ms = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)

-- The date of a number of days since 1970 (Hinnant, chrono-compatible low-level date algorithms).
local function date_of(days)
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

-- The current time in RQ's format.
local iso
local function iso_now()
  if iso then return iso end
  local seconds = tonumber(clock[1])
  local year, month, day = date_of(math.floor(seconds / 86400))
  local rest = seconds % 86400
  iso = string.format('%04d-%02d-%02dT%02d:%02d:%02d.%06dZ', year, month, day,
    math.floor(rest / 3600), math.floor(rest % 3600 / 60), rest % 60, tonumber(clock[2]))
  return iso
end

-- A job's id is the event's id, or `{event}_{handler}` where several handlers match the event. The handler ("" for the
-- event's own job) names the job's counters on the event record.
local function event_of(job_id) return string.sub(job_id, 1, 36) end
local function handler_of(job_id) return string.sub(job_id, 38) end

-- Write RQ's job hash as RQ's own enqueue does. RQ cannot read a job whose timeout is not a whole number of seconds.
local function write_job(job_id, queue, timeout, event_type, now)
  local event_id, handler = event_of(job_id), handler_of(job_id)
  local description = event_type .. ' ' .. string.sub(event_id, 1, 8) .. '…'
  if handler ~= '' then description = description .. ' ' .. handler end
  local written = redis.call('HSET', JOB .. job_id, 'created_at', now, 'enqueued_at', now, 'started_at', '',
    'ended_at', '', 'last_heartbeat', '', 'data', '["surehook.workers.jobs.handle",null,["' .. event_id .. '"],{}]',
    'origin', queue, 'description', description, 'status', 'queued',
    'timeout', math.ceil(tonumber(timeout)), 'result_ttl', RESULT_TTL_SECONDS,
    'failure_ttl', -1, 'worker_name', '', 'group_id', '', 'success_callback_name', '',
    'failure_callback_name', '', 'stopped_callback_name', '')
  if written == FIELDS_OF_A_JOB then return end
  redis.call('DEL', JOB .. job_id)  -- an earlier job of this id, with fields and an expiry of its own
  return write_job(job_id, queue, timeout, event_type, now)
end

local function register_queue(queue)
  redis.call('SADD', QUEUES, QUEUE .. queue)
  redis.call('SADD', OUR_QUEUES, queue)
end

local function create_job(job_id, queue, timeout)
  write_job(job_id, queue, timeout, redis.call('HGET', EVENT .. event_of(job_id), 'type') or '?', iso_now())
end

-- Write to a job's hash, which an operator may have deleted by hand: then HSET leaves a fragment that RQ cannot read,
-- so the whole hash is written again. HSET reports all fields as new only when the hash did not exist.
local function write_to_job(job_id, queue, timeout, ...)
  if 2 * redis.call('HSET', JOB .. job_id, ...) < select('#', ...) then return end
  create_job(job_id, queue, timeout)
  redis.call('HSET', JOB .. job_id, ...)
end

-- Write the job's hash again if it was deleted, so that RQ's tools can read a job that is about to run.
local function ensure_job(job_id, queue, timeout)  -- rare
  if redis.call('HEXISTS', JOB .. job_id, 'data') == 0 then create_job(job_id, queue, timeout) end
end

local function enqueue(job_id, queue)
  register_queue(queue)
  redis.call('HSET', JOB .. job_id, 'status', 'queued', 'enqueued_at', iso_now(), 'origin', queue)
  redis.call('RPUSH', QUEUE .. queue, job_id)
end

-- Put a job at the front, with its old enqueued_at, because it has been waiting since then.
local function enqueue_first(job_id, queue)  -- rare
  register_queue(queue)
  redis.call('HSET', JOB .. job_id, 'status', 'queued', 'origin', queue)
  redis.call('LPUSH', QUEUE .. queue, job_id)
end

-- Mark a job as not run: to RQ it has neither started nor ended. last_heartbeat shows the sweep that the job has moved.
local function reset_run_fields(job_id, queue, timeout)  -- rare
  write_to_job(job_id, queue, timeout, 'started_at', '', 'ended_at', '', 'worker_name', '', 'last_heartbeat', iso_now())
end

local function schedule(job_id, queue, delay_ms)  -- rare
  redis.call('HSET', JOB .. job_id, 'status', 'scheduled')
  redis.call('ZADD', SCHEDULED .. queue, now_seconds + delay_ms / 1000, job_id)
end

-- Move jobs that are due, at most `most`, from the schedule to their queue. Returns their number.
local function promote_due(queue, most, timeout)
  local due = redis.call('ZRANGEBYSCORE', SCHEDULED .. queue, '-inf', now_seconds, 'LIMIT', 0, most)
  for _, job_id in ipairs(due) do
    redis.call('ZREM', SCHEDULED .. queue, job_id)
    local has_job = redis.call('HEXISTS', JOB .. job_id, 'data') == 1
    local has_record = has_job or redis.call('EXISTS', EVENT .. event_of(job_id)) == 1
    if not has_job and has_record then create_job(job_id, queue, timeout) end
    if has_record then enqueue(job_id, queue) end  -- else another application has deleted its job
  end
  return #due
end

-- Show a worker's state to RQ's tools, if it is registered: only then its hash has one. Returns whether it is.
local function show_worker(worker, state)
  if redis.call('HSET', WORKER .. worker, 'state', state) == 0 then return true end
  redis.call('DEL', WORKER .. worker)  -- not registered: HSET has created it
  return false
end

-- A claim's token begins with the token prefix of the process that holds it, up to a '-'.
local function token_prefix_of(claim) return string.match(claim, ':([^-]*)') end

-- Remove a claim's execution, which RQ's tools show while the job runs. A reserved claim has none.
-- Returns false if there was none.
local function hide_execution(queue, job_id, claim)
  local worker = redis.call('HGET', EXECUTION .. claim, 'worker_name')
  if not worker then return false end
  redis.call('ZREM', WIP .. queue, claim)
  redis.call('DEL', EXECUTION .. claim, EXECUTIONS .. job_id)
  if worker ~= '' then
    redis.call('SREM', WORKER .. worker .. ':executions', claim)
    show_worker(worker, 'idle')
  end
  return true
end

local function delete_job(job_id)
  redis.call('DEL', JOB .. job_id, RESULTS .. job_id, EXECUTIONS .. job_id)
end

-- RQ's result types: 1 successful, 2 failed, 3 stopped, 4 retried. `exc` is base64 of zlib, or ''.
local function add_result(job_id, kind, exc, worker)
  local fields = {'type', kind, 'worker_name', worker}
  if exc ~= '' then
    table.insert(fields, 'exc_string')
    table.insert(fields, exc)
  end
  redis.call('XADD', RESULTS .. job_id, 'MAXLEN', 10, '*', unpack(fields))
end

-- Put aside a job without an event record here: another application's, on a queue of the same name, or one whose record
-- was deleted by hand. It stays in RQ's registry and is queued again when it is due, so its own workers may take it.
local function set_aside(job_id, queue)  -- rare
  schedule(job_id, queue, SET_ASIDE_MS)
end

local function add_to_worker_statistics(worker, counts)
  if redis.call('EXISTS', WORKER .. worker) == 0 then return end
  for _, field in ipairs({'successful_job_count', 'failed_job_count'}) do
    if counts[field] > 0 then redis.call('HINCRBY', WORKER .. worker, field, counts[field]) end
  end
  redis.call('HINCRBYFLOAT', WORKER .. worker, 'total_working_time', counts.seconds)
end
