-- The handlers of a transactional event are through.
-- ARGV: event id, round, worker, claim, outcome (completed, rejected or failed), 1 if a handler was cut off and nobody
-- knows what it did, reason, parts to undo, parts to tell once the answer is confirmed, then attempts.
-- Returns what stands: the outcome, 'abandoned' if it came too late, or 'stale' if this run was given up for dead. Said
-- again, because the first reply was lost, it is answered again.
local id, round, worker, claim, outcome, is_unknown = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6] == '1'
local reason, undo, facts = ARGV[7], ARGV[8], ARGV[9]
local txn = load_txn(id)
forget_run(worker, run_of(id, round, claim))
tell_worker(worker, 'state', 'idle')

-- What stands of a run that was settled before. Of a confirmed round nothing is left but its name.
local function settled_before()
  if not txn then return redis.call('HGET', EVENT .. id, 'confirmed') == round and 'completed' end
  return txn.round == round and redis.call('HGET', TXN .. id, 'settled') == run_of(worker, claim) and txn.state
end

-- Whoever runs it has no say any more, as if the lease had lapsed.
local function end_lease(job_id, queue)
  local claim = job_id .. ':' .. (redis.call('HGET', EVENT .. id, 'claim:' .. part_of(job_id)) or '')
  if redis.call('ZREM', LEASES .. queue, claim) == 0 then return end
  redis.call('SREM', HELD .. holder_of(claim), claim)
  hide_execution(queue, job_id, claim)
end

-- Given up for dead, and undone; now it has ended after all. Its effect may be younger than its undoing, which runs once
-- more, and the orphan is listed again if somebody has resolved it meanwhile. It was counted then.
local function end_after_all()
  local key = EVENT .. id
  if redis.call('HGET', key, 'given_up') ~= run_of(round, worker, claim) then return end
  redis.call('HDEL', key, 'given_up')
  local is_orphan = is_unknown or outcome == 'completed'
  if is_orphan then redis.call('ZADD', ORPHANS, 'NX', now_ms, id) end
  if not is_orphan and undo == '' then return end
  redis.call('PERSIST', key)
  redis.call('PERSIST', ATTEMPTS .. id)
  for i = 10, #ARGV do remember_attempt(id, ARGV[i]) end
  if undo == '' then return end
  redis.call('DECRBY', SPLIT, math.max(0, #pending_jobs(id) - 1))
  for name in string.gmatch(redis.call('HGET', key, 'handlers') or '', '[^,]+') do
    end_lease(id .. '_' .. name, redis.call('HGET', key, 'queue:' .. name))
  end
  drop_jobs(id)
  reopen(id)
  hand_over(id, {}, undo, 'abandoned')
end

if not is_in_force(txn, round, worker, claim) then
  local stands = settled_before()
  if stands then return stands end
  end_after_all()
  return 'stale'
end
for i = 10, #ARGV do remember_attempt(id, ARGV[i]) end
if redis.call('EXISTS', WORKER .. worker) == 1 then
  redis.call('HINCRBY', WORKER .. worker, outcome == 'completed' and 'successful_job_count' or 'failed_job_count', 1)
end
if txn.state == 'running' and now_ms <= txn.deadline then
  if outcome == 'completed' then
    redis.call('HSET', TXN .. id, 'state', 'completed', 'running', '', 'undo', undo, 'facts', facts,
      'settled', run_of(worker, claim))
    wake(id, txn, 'completed', '')
    return 'completed'
  end
  decide(id, txn, outcome, reason)
elseif txn.state == 'running' then
  decide(id, txn, 'abandoned', '')
end
redis.call('HSET', TXN .. id, 'settled', run_of(worker, claim))
conclude(id, txn, undo, is_unknown or outcome == 'completed')
return txn.state
