-- Read dead letters.
-- ARGV: job ids.  Returns for each: its event's type (nil: another application's job), tenant and user, when it ended,
-- and the event's last attempt.
local found = {}
for i, job_id in ipairs(ARGV) do
  local event_id = event_of(job_id)
  local record = redis.call('HMGET', EVENT .. event_id, 'type', 'tenant', 'user')
  found[i] = {record[1], record[2], record[3], redis.call('HGET', JOB .. job_id, 'ended_at'),
    redis.call('LINDEX', ATTEMPTS .. event_id, -1)}
end
return found
