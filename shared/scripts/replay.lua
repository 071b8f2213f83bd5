-- Run a dead letter again, with its full retry budget.
-- ARGV: queue, job id, handler timeout, who replays it, why.  Returns 1, or 0 if it is not dead (any more).
local queue, job_id = ARGV[1], ARGV[2]
if redis.call('ZREM', FAILED .. queue, job_id) == 0 then return 0 end
ensure_job(job_id, queue, ARGV[3])
reset_counters(job_id)
note_action(job_id, 'replayed', ARGV[4], ARGV[5])
count_replay(event_of(job_id))
order('queue_in_turn', job_id, queue, place_of(job_id) or '')
return 1
