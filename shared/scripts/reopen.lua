-- A closed event runs again, for all handlers that want it now, each with its full budget. It is open once more, so it
-- comes off what is done (or discarded): accepted counts what came from outside, and nothing did.
-- ARGV: event id, queue, handler timeout.  Returns 1, or 0 if it is not there, or open, or a transaction's outcome.
local event_id, queue = ARGV[1], ARGV[2]
local key = EVENT .. event_id
local entry = ({done = 'done', unhandled = 'done', completed = 'done', discarded = 'discarded'})
local closed_at, outcome, received_at, handlers, decision, as_fact = unpack(
  redis.call('HMGET', key, 'closed_at', 'outcome', 'received_at', 'handlers', 'decision', 'as_fact'))
if not closed_at or not entry[outcome] then return 0 end
-- What was done of a transaction that ended with a no is its undoing; only a person's word makes a fact of the event.
if decision and decision ~= 'completed' and not as_fact then return 0 end

local function forget(job_id, known_queue)
  redis.call('ZREM', FINISHED .. (redis.call('HGET', JOB .. job_id, 'origin') or known_queue), job_id)
  delete_job(job_id)
  reset_counters(job_id)
end

for name in string.gmatch(handlers or '', '[^,]+') do
  forget(event_id .. '_' .. name, redis.call('HGET', key, 'queue:' .. name) or queue)
  redis.call('HDEL', key, 'state:' .. name, 'queue:' .. name)
end
forget(event_id, queue)
redis.call('HDEL', key, 'closed_at', 'outcome', 'handlers', 'handler')
redis.call('PERSIST', key)
redis.call('PERSIST', ATTEMPTS .. event_id)
redis.call('ZADD', OPEN, received_at, event_id)
redis.call('HINCRBY', LEDGER, entry[outcome], -1)
create_job(event_id, queue, ARGV[3])
enqueue(event_id, queue)
return 1
