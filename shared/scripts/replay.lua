-- Run a dead letter again, with its full retry budget.
-- ARGV: queue, job id, handler timeout, who replays it, why, and for a step of a bulk action what `take_letter` needs.
-- Returns 1, 0 if it is not dead (any more), or -1 if the bulk action is not this runner's.
local queue, job_id = ARGV[1], ARGV[2]
local taken = take_letter(queue, job_id, 'replayed', ARGV[4], ARGV[5], {ARGV[6], ARGV[7], ARGV[8], ARGV[9]})
if taken < 1 then return taken end
ensure_job(job_id, queue, ARGV[3])
reset_counters(job_id)
note_action(job_id, 'replayed', ARGV[4], ARGV[5])
count_replay(event_of(job_id))
order('queue_in_turn', job_id, queue, place_of(job_id) or '')
return 1
