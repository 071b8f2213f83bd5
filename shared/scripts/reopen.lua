-- Run a closed event again, for all handlers that match it now, each with its full retry budget. The ledger counts it
-- no longer as done (or discarded), and not as accepted a second time.
-- ARGV: event id, queue, handler timeout.  Returns 1, or 0 if it is missing, open, or a refused transaction, or its body has
-- expired.
local event_id, queue = ARGV[1], ARGV[2]
local key = EVENT .. event_id
local may_run = {done = true, unhandled = true, completed = true, discarded = true}
local closed_at, outcome, decision, committed = unpack(
  redis.call('HMGET', key, 'closed_at', 'outcome', 'decision', 'committed'))
if not closed_at or not may_run[outcome] or redis.call('HEXISTS', key, 'body') == 0 then return 0 end
-- The jobs of a refused transaction were its undo. Only a person can say that FusionAuth committed it.
if decision and decision ~= 'completed' and not committed then return 0 end
reopen(event_id)
count_replay(event_id)
create_job(event_id, queue, ARGV[3])
enqueue(event_id, queue)
return 1
