-- A handler failed, or asked for later; it runs again after a delay.
-- ARGV: queue, job id, token, worker, delay in ms, 1 if this spends a retry, attempt, exc, handler.
-- Returns 'done' or 'stale'.
local queue, job_id = ARGV[1], ARGV[2]
if not release(queue, job_id, ARGV[3]) then return 'stale' end
stays_with(job_id, ARGV[9])
count_run(ARGV[4], 'failed_job_count')
remember_attempt(job_id, ARGV[7])
if ARGV[6] == '1' then redis.call('HINCRBY', EVENT .. event_of(job_id), 'spent:' .. part_of(job_id), 1) end
add_result(job_id, 4, ARGV[8], ARGV[4])
schedule(job_id, queue, tonumber(ARGV[5]))
return 'done'
