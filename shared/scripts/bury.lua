-- A handler failed for good: a dead letter.
-- ARGV: queue, job id, token, worker, attempt, exc, handler.  Returns 'done' or 'stale'.
local queue, job_id = ARGV[1], ARGV[2]
if not release(queue, job_id, ARGV[3]) then return 'stale' end
stays_with(job_id, ARGV[7])
count_run(ARGV[4], 'failed_job_count')
remember_attempt(job_id, ARGV[5])
bury(job_id, queue, ARGV[6], ARGV[4])
return 'done'
