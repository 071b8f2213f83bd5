-- Let lines go on whose state was lost: a key was deleted or changed by hand, or an older version settled a job.
-- ARGV: queue, then job ids of its deferred registry.  Returns how many jobs were put right.
local queue, mended = ARGV[1], 0
local seen = {}

-- Remove the job that has the turn if it has no reason to run, and give the turn to the next.
local function check(line)
  if seen[line] then return end
  seen[line] = true
  local first = redis.call('ZRANGE', line, 0, 0, 'WITHSCORES')
  if first[2] == '-inf' and (not is_expected(first[1]) or order('is_skipped', first[1], queue)) then
    redis.call('ZREM', line, first[1])
    mended = mended + 1
  end
  order('advance', line)
end

local function check_deferred(job_id)
  if not redis.call('ZSCORE', DEFERRED .. queue, job_id) then return end  -- its turn has come since the list was read
  local place = place_of(job_id)
  if not is_expected(job_id) then return redis.call('ZREM', DEFERRED .. queue, job_id) end
  if place and redis.call('ZSCORE', order('line_of', job_id, place), job_id) ~= '-inf' then
    mended = mended + redis.call('ZADD', order('line_of', job_id, place), 'NX', order('number_of', job_id), job_id)
    return check(order('line_of', job_id, place))
  end
  redis.call('ZREM', DEFERRED .. queue, job_id)
  ensure_job(job_id, queue, 30)
  enqueue(job_id, queue)
  mended = mended + 1
end

local function check_unrouted(event_id)
  local record = redis.call('HMGET', EVENT .. event_id, 'handlers', 'handler', 'line:')
  if redis.call('ZSCORE', OPEN, event_id) and record[3] and not record[1] and not record[2] then return end
  order('end_routing', event_id)
  mended = mended + 1
end

for i = 2, #ARGV do check_deferred(ARGV[i]) end
for _, event_id in ipairs(redis.call('ZRANGE', UNROUTED, 0, 99)) do check_unrouted(event_id) end
return mended
