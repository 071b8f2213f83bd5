-- Make an orphan of a transactional event whose process died: the effects of its handlers are unknown. The process may
-- only have been suspended (SIGSTOP, a sleeping machine), so the event's record keeps the run: see `mark_given_up`.
-- ARGV: event id, round, ms after the deadline from which a run counts as dead, jobs that undo, attempt.
-- Returns 1, or 0 if the run has ended or its process lives.
local id = ARGV[1]

local function bury_run()
  local txn = load_txn(id)
  if not txn or txn.round ~= ARGV[2] or not txn.running or not is_run_dead(id, txn, tonumber(ARGV[3])) then return 0 end
  if txn.state == 'running' then decide(id, txn, 'abandoned', '') end
  add_attempt(id, ARGV[5])
  mark_given_up(id, run_of(txn.round, txn.worker, txn.claim))
  finish_round(id, txn, ARGV[4], true)
  return 1
end

return guarded(id, bury_run)
