-- Run a closed event again, for all handlers that match it now, each with its full retry budget. The ledger counts it
-- no longer as done (or discarded), and not as accepted a second time.
-- ARGV: event id, queue, handler timeout, who replays it, why, and for a step of a bulk action its id and the runner's
-- token: then an event that was closed after the action was planned stays closed.
-- Returns 1, 0 if it is missing, open, or a refused transaction, or its body has expired, or -1 if the bulk action is not
-- this runner's.
local event_id, queue, bulk = ARGV[1], ARGV[2], ARGV[6] or ''
local key = EVENT .. event_id
if bulk ~= '' and not renew_run(bulk, ARGV[7]) then return -1 end
local function skip()
  if bulk ~= '' then redis.call('HINCRBY', BULK .. bulk, 'skipped', 1) end
  return 0
end
local may_run = {done = true, unhandled = true, completed = true, discarded = true}
local closed_at, outcome, decision, committed = unpack(
  redis.call('HMGET', key, 'closed_at', 'outcome', 'decision', 'committed'))
if not closed_at or not may_run[outcome] or redis.call('HEXISTS', key, 'body') == 0 then return skip() end
if bulk ~= '' and tonumber(closed_at) > tonumber(redis.call('HGET', BULK .. bulk, 'created_at')) then return skip() end
-- The jobs of a refused transaction were its undo. Only a person can say that FusionAuth committed it.
if decision and decision ~= 'completed' and not committed then return skip() end
if bulk ~= '' then redis.call('HINCRBY', BULK .. bulk, 'done', 1) end
reopen(event_id)
note_action(event_id, 'replayed', ARGV[4], ARGV[5])
count_replay(event_id)
create_job(event_id, queue, ARGV[3])
enqueue(event_id, queue)
return 1
