-- Discard a dead letter: it will never run.
-- ARGV: queue, job id, retention in s, who discards it, why.  Returns 1, or 0 if it is not dead (any more).
local queue, job_id = ARGV[1], ARGV[2]
if redis.call('ZREM', FAILED .. queue, job_id) == 0 then return 0 end
order('release', job_id)
delete_job(job_id)
note_action(job_id, 'discarded', ARGV[4], ARGV[5])
close(job_id, 'discarded', tonumber(ARGV[3]))
return 1
