-- The process that ran the handlers of a transactional event has died: nobody knows what they did, so it is an orphan.
-- It may only have stood still (SIGSTOP, a machine that slept): the event's record keeps which run was given up.
-- ARGV: event id, round, ms after the deadline from which a run counts as dead, parts to undo, attempt.
-- Returns 1, or 0 if the run ended, or its process lives.
local id = ARGV[1]
local txn = load_txn(id)
if not txn or txn.round ~= ARGV[2] or not txn.running or not is_dead(id, txn, tonumber(ARGV[3])) then return 0 end
if txn.state == 'running' then decide(id, txn, 'abandoned', '') end
remember_attempt(id, ARGV[5])
redis.call('HSET', EVENT .. id, 'given_up', run_of(txn.round, txn.worker, txn.claim))
conclude(id, txn, ARGV[4], true)
return 1
