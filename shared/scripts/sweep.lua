-- Queue again jobs that two readings of all queues did not find: a requeue that was killed half-way, a key deleted by
-- hand. Whatever has moved since the first reading began had a job then, and is left alone.
-- ARGV: default queue, handler timeout, when the first reading began, 1 to tell only, 1 to look through the queues first
-- (costs their length for each job), then job ids.
-- Returns those queued again, or those that would be and those whose record is gone.
local default_queue, timeout, since, is_dry, looks = ARGV[1], ARGV[2], ARGV[3], ARGV[4] == '1', ARGV[5] == '1'
local now = iso_now()

local function has_moved(job_id)
  for _, at in ipairs(redis.call('HMGET', JOB .. job_id, 'enqueued_at', 'started_at', 'ended_at',
    'last_heartbeat')) do
    if at and at >= since and at <= now then return true end
  end
  return false
end

local function is_pending(job_id)
  for _, each in ipairs(pending_jobs(event_of(job_id))) do
    if each == job_id then return true end
  end
  return false
end

local function is_queued(job_id)
  for _, name in ipairs(redis.call('SMEMBERS', OUR_QUEUES)) do
    if redis.call('LPOS', QUEUE .. name, job_id) then return true end
  end
  for _, key in ipairs(redis.call('SMEMBERS', QUEUES)) do
    if redis.call('LPOS', key, job_id) then return true end
  end
  return false
end

local function is_somewhere(job_id, queue)
  return redis.call('ZSCORE', FAILED .. queue, job_id) or redis.call('ZSCORE', SCHEDULED .. queue, job_id)
    or is_claimed(job_id, queue) or (looks and is_queued(job_id))
end

-- A transaction that is not over is looked after by txn_recover: it is never queued a second time.
local function is_asked(event_id)
  return redis.call('HGET', EVENT .. event_id, 'decision') == 'pending'
    or redis.call('HGET', TXN .. event_id, 'running') == '1'
end

local found = {}
for i = 6, #ARGV do
  local job_id = ARGV[i]
  local key = EVENT .. event_of(job_id)
  local queue = redis.call('HGET', JOB .. job_id, 'origin') or redis.call('HGET', key, 'queue:' .. part_of(job_id))
    or default_queue
  if is_pending(job_id) and not is_asked(event_of(job_id)) and not is_somewhere(job_id, queue) and not has_moved(job_id)
    and (is_dry or redis.call('EXISTS', key) == 1) then
    if not is_dry then
      -- A stock RQ worker died between taking it and starting it (RQ issue 1716).
      redis.call('LREM', QUEUE .. queue .. INTERMEDIATE_SUFFIX, 0, job_id)
      make_whole(job_id, queue, timeout)
      enqueue(job_id, queue)
    end
    table.insert(found, job_id)
  end
end
return found
