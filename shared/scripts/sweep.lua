-- Queue again what is open and has no job anywhere: a requeue that was killed half-way, a key deleted by hand.
-- ARGV: default queue, handler timeout, then event ids.  Returns the ids of the jobs queued again.
local found = {}

-- A queue is sorted by enqueued_at, so what is younger than its head stands behind it: only what is older is looked
-- up in the list, which costs its length.
local function is_queued(job_id, queue)
  local head = redis.call('LINDEX', QUEUE .. queue, 0)
  if not head then return false end
  if redis.call('HGET', JOB .. job_id, 'status') == 'queued' then
    local mine = redis.call('HGET', JOB .. job_id, 'enqueued_at')
    local first = redis.call('HGET', JOB .. head, 'enqueued_at')
    if mine and first and mine > first then return true end
  end
  return redis.call('LPOS', QUEUE .. queue, job_id) ~= false
end

local function ensure_job(job_id, default_queue)
  local queue = redis.call('HGET', JOB .. job_id, 'origin') or default_queue
  if redis.call('ZSCORE', FAILED .. queue, job_id) or redis.call('ZSCORE', SCHEDULED .. queue, job_id)
    or is_claimed(job_id, queue) or is_queued(job_id, queue) then return end
  -- A stock RQ worker died between taking it and starting it (RQ issue 1716).
  redis.call('LREM', QUEUE .. queue .. INTERMEDIATE_SUFFIX, 0, job_id)
  create_job(job_id, queue, ARGV[2])
  enqueue(job_id, queue)
  table.insert(found, job_id)
end

for i = 3, #ARGV do
  local event_id = ARGV[i]
  local key = EVENT .. event_id
  if redis.call('EXISTS', key) == 1 and redis.call('ZSCORE', OPEN, event_id) then
    local handlers = redis.call('HGET', key, 'handlers')
    if not handlers then ensure_job(event_id, ARGV[1]) end
    for name in string.gmatch(handlers or '', '[^,]+') do
      if not redis.call('HGET', key, 'state:' .. name) then
        ensure_job(event_id .. '_' .. name, redis.call('HGET', key, 'queue:' .. name) or ARGV[1])
      end
    end
  end
end
return found
