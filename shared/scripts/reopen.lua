-- A closed event runs again, for all handlers that want it now, each with its full budget. It is open once more, so it
-- comes off what is done (or discarded): accepted counts what came from outside, and nothing did.
-- ARGV: event id, queue, handler timeout.  Returns 1, or 0 if it is not there, or open, or a transaction's outcome.
local event_id, queue = ARGV[1], ARGV[2]
local key = EVENT .. event_id
local may_run = {done = true, unhandled = true, completed = true, discarded = true}
local closed_at, outcome, decision, as_fact = unpack(
  redis.call('HMGET', key, 'closed_at', 'outcome', 'decision', 'as_fact'))
if not closed_at or not may_run[outcome] then return 0 end
-- What was done of a transaction that ended with a no is its undoing; only a person's word makes a fact of the event.
if decision and decision ~= 'completed' and not as_fact then return 0 end
reopen(event_id)
create_job(event_id, queue, ARGV[3])
enqueue(event_id, queue)
return 1
