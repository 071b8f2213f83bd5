-- Discard a dead letter: it will never run.
-- ARGV: queue, job id, retention in s, who discards it, why, and for a step of a bulk action what `take_letter` needs.
-- Returns 1, 0 if it is not dead (any more), or -1 if the bulk action is not this runner's.
local queue, job_id = ARGV[1], ARGV[2]
local taken = take_letter(queue, job_id, 'discarded', ARGV[4], ARGV[5], {ARGV[6], ARGV[7], ARGV[8], ARGV[9]})
if taken < 1 then return taken end
order('release', job_id)
delete_job(job_id)
note_action(job_id, 'discarded', ARGV[4], ARGV[5])
close(job_id, 'discarded', tonumber(ARGV[3]))
return 1
