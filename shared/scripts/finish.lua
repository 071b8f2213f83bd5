-- A handler returned, or nobody wants the event.
-- ARGV: queue, job id, token, worker, outcome, retention in s, attempt ('' for none).  Returns 'done' or 'stale'.
local queue, job_id, worker = ARGV[1], ARGV[2], ARGV[4]
if not release(queue, job_id, ARGV[3]) then return 'stale' end
if ARGV[7] ~= '' then remember_attempt(job_id, ARGV[7]) end
count_run(worker, 'successful_job_count')
redis.call('HSET', JOB .. job_id, 'status', 'finished')
redis.call('ZREMRANGEBYSCORE', FINISHED .. queue, '-inf', now_seconds)
redis.call('ZADD', FINISHED .. queue, now_seconds + RESULT_TTL_SECONDS, job_id)
add_result(job_id, 1, '', worker)
redis.call('EXPIRE', JOB .. job_id, RESULT_TTL_SECONDS)
redis.call('EXPIRE', RESULTS .. job_id, RESULT_TTL_SECONDS)
close(job_id, ARGV[5], tonumber(ARGV[6]))
return 'done'
