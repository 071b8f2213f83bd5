-- Requeue jobs that two scans of all queues did not find, because a requeue was killed half-way or a key was deleted by
-- hand. A job that has moved since the first scan began existed then, and is left alone.
-- ARGV: default queue, handler timeout, when the first scan began, 1 for a dry run, 1 to search the queues first (costs
-- their length for each job), then job ids.
-- Returns the jobs requeued; in a dry run those that would be, and those whose record is gone.
local default_queue, timeout, since, is_dry, searches = ARGV[1], ARGV[2], ARGV[3], ARGV[4] == '1', ARGV[5] == '1'
local now = iso_now()

local function has_moved(job_id)
  for _, at in ipairs(redis.call('HMGET', JOB .. job_id, 'enqueued_at', 'started_at', 'ended_at',
    'last_heartbeat')) do
    if at and at >= since and at <= now then return true end
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
    or redis.call('ZSCORE', CANCELED .. queue, job_id) or redis.call('ZSCORE', DEFERRED .. queue, job_id)
    or is_claimed(job_id, queue) or (searches and is_queued(job_id))
end

-- A transaction that is not over belongs to txn_recover, and is never queued a second time.
local function is_undecided(event_id)
  return redis.call('HGET', EVENT .. event_id, 'decision') == 'pending'
    or redis.call('HGET', TXN .. event_id, 'running') == '1'
end

local found = {}
for i = 6, #ARGV do
  local job_id = ARGV[i]
  local key = EVENT .. event_of(job_id)
  local queue = redis.call('HGET', JOB .. job_id, 'origin') or redis.call('HGET', key, 'queue:' .. handler_of(job_id))
    or default_queue
  if is_expected(job_id) and not is_undecided(event_of(job_id)) and not is_somewhere(job_id, queue)
    and not has_moved(job_id) and (is_dry or redis.call('EXISTS', key) == 1) then
    if not is_dry then
      -- A stock RQ worker may have died between popping and starting it (RQ issue 1716).
      redis.call('LREM', QUEUE .. queue .. INTERMEDIATE_SUFFIX, 0, job_id)
      ensure_job(job_id, queue, timeout)
      enqueue(job_id, queue)
    end
    table.insert(found, job_id)
  end
end
return found
