-- A job goes back unharmed and uncounted: at once to the front, or after a delay.
-- ARGV: queue, job id, token, delay in ms.  Returns 'done' or 'stale'.
local queue, job_id, delay_ms = ARGV[1], ARGV[2], tonumber(ARGV[4])
if not release(queue, job_id, ARGV[3]) then return 'stale' end
redis.call('HINCRBY', EVENT .. event_of(job_id), 'runs:' .. part_of(job_id), -1)
if delay_ms > 0 then schedule(job_id, queue, delay_ms) else enqueue_first(job_id, queue) end
return 'done'
