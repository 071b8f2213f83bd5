-- Take the next job of a queue under a lease.
-- ARGV: queue, worker, token, lease in ms, handler timeout.
-- Returns nothing, or: job id, token, its runs with this one, retries spent, interruptions, the event record's fields.
local queue, worker, token = ARGV[1], ARGV[2], ARGV[3]

local function taken(job_id, with_token, runs)
  local key, part = EVENT .. event_of(job_id), part_of(job_id)
  local spent = redis.call('HMGET', key, 'spent:' .. part, 'interrupted:' .. part)
  return {job_id, with_token, runs, tonumber(spent[1] or 0), tonumber(spent[2] or 0), redis.call('HGETALL', key)}
end

-- A worker holds one claim at a time, so one it asks for while it has one is one whose reply was lost.
for _, claim in ipairs(redis.call('SMEMBERS', WORKER .. worker .. ':executions')) do
  if redis.call('ZSCORE', LEASES .. queue, claim) then
    local job_id, held = string.match(claim, '^([^:]+):(.+)$')
    redis.call('ZADD', LEASES .. queue, now_ms + tonumber(ARGV[4]), claim)
    return taken(job_id, held, tonumber(redis.call('HGET', EVENT .. event_of(job_id), 'runs:' .. part_of(job_id)) or 1))
  end
end

if redis.call('SISMEMBER', PAUSED, queue) == 1 then return false end
for _ = 1, 100 do
  local job_id = redis.call('LPOP', QUEUE .. queue)
  if not job_id then return false end
  local event_id, part = event_of(job_id), part_of(job_id)
  local key = EVENT .. event_id
  local known = redis.call('HMGET', key, 'type', 'closed_at', 'handlers', 'state:' .. part)
  local split = part == '' and known[3]
  if not known[1] and redis.call('EXISTS', JOB .. job_id) == 1 then
    -- Another application's, on a queue of the same name, or of a record deleted by hand: aside, where it is seen.
    redis.call('HSET', JOB .. job_id, 'status', 'failed')
    redis.call('ZADD', FAILED .. queue, '+inf', job_id)
  elseif not known[1] or known[2] or known[4] or split then
    delete_job(job_id)  -- closed, or split into one job per handler: a copy that nobody needs
  elseif not is_claimed(job_id, queue) then
    if redis.call('EXISTS', JOB .. job_id) == 0 then create_job(job_id, queue, ARGV[5]) end
    local claim = job_id .. ':' .. token
    local now = iso_now()
    redis.call('ZREM', FAILED .. queue, job_id)
    redis.call('ZREM', SCHEDULED .. queue, job_id)
    redis.call('ZADD', LEASES .. queue, now_ms + tonumber(ARGV[4]), claim)
    redis.call('ZADD', WIP .. queue, now_seconds + FAR_FUTURE_SECONDS, claim)
    redis.call('ZADD', EXECUTIONS .. job_id, now_seconds + FAR_FUTURE_SECONDS, claim)
    redis.call('HSET', EXECUTION .. claim, 'id', token, 'job_id', job_id, 'created_at', now_seconds,
      'last_heartbeat', now_seconds, 'worker_name', worker)
    redis.call('SADD', WORKER .. worker .. ':executions', claim)
    redis.call('EXPIRE', WORKER .. worker .. ':executions', FAR_FUTURE_SECONDS)
    redis.call('HSET', JOB .. job_id, 'status', 'started', 'started_at', now, 'last_heartbeat', now,
      'ended_at', '', 'worker_name', worker)
    tell_worker(worker, 'state', 'busy')
    local runs = redis.call('HINCRBY', key, 'runs:' .. part, 1)
    return taken(job_id, token, runs)
  end
end
return false
