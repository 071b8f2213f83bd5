-- Record the outcomes of transactional events' handlers, or the death of the process that ran them, which its supervisor
-- reports as a failure with an unknown effect.
-- ARGV: for each run its event id, round, worker, claim, outcome (completed, rejected or failed), 1 if a handler was cut
-- off and its effect is unknown, reason, jobs that undo, jobs to queue once the response is confirmed, the event's facts
-- for the index ('' if not known), the number of attempts, and those.
-- Returns for each the final outcome: this one, 'abandoned' if it came too late, or 'stale' if this run was presumed
-- dead. A repeated call, after a lost reply, returns the same. Where an event's own keys cause an error, 'refused ' and
-- its code.

-- Writes of one kind are collected here and done in one command: a command costs the store more than its values.
local collected

local function start_collecting() collected = {closed = {}, replies = {}, decided = {}} end

local function write_collected()
  local written = collected
  start_collecting()  -- first: an error below must not have anything written twice
  send_replies(written.replies)
  for outcome, event_ids in pairs(written.closed) do count_closed(outcome, event_ids) end
  list_decided(written.decided)
end

-- Handle the outcome of a run that is not the current one, which is rare. Returns the final outcome.
local function settle_late(run, txn)
  write_collected()  -- an earlier run of the same event may be among them
  local id, round, worker, claim = run.id, run.round, run.worker, run.claim
  local undo_jobs, is_unknown, outcome = run.undo_jobs, run.is_unknown, run.outcome
  -- The final outcome of a run that was settled by an earlier call. Only the round's name is left of a confirmed round.
  local function earlier_result()
    if not txn then return redis.call('HGET', EVENT .. id, 'confirmed') == round and 'completed' end
    return txn.round == round and redis.call('HGET', TXN .. id, 'reported_run') == run_of(worker, claim) and txn.state
  end

  -- End a running job's lease, as if it had expired: its process can change nothing any more.
  local function end_lease(job_id, queue)
    local claim = job_id .. ':' .. (redis.call('HGET', EVENT .. id, 'claim:' .. handler_of(job_id)) or '')
    if redis.call('ZREM', LEASES .. queue, claim) == 0 then return end
    redis.call('SREM', PROCESS_CLAIMS .. token_prefix_of(claim), claim)
    hide_execution(queue, job_id, claim)
  end

  -- The jobs of an event's handlers that are not done, in the scripts' format.
  local function unfinished_jobs()
    local jobs = {}
    for _, job_id in ipairs(expected_jobs(id)) do
      local name = handler_of(job_id)
      if name ~= '' then
        local timeout = redis.call('HGET', JOB .. job_id, 'timeout') or '30'
        table.insert(jobs, name .. ' ' .. (redis.call('HGET', EVENT .. id, 'queue:' .. name) or 'events') .. ' ' .. timeout)
      end
    end
    return table.concat(jobs, ' ')
  end

  -- Undo the effects of a run that ended after it was undone, because they may be later than the undo. During another
  -- round this waits for the round's end; a success of that round makes it needless.
  local function undo_again()
    local key = EVENT .. id
    if redis.call('ZSCORE', TXNS, id) then
      local late = redis.call('HGET', key, 'late_undo') or ''
      redis.call('HSET', key, 'late_undo', join_jobs(late, undo_jobs))
      return
    end
    local jobs = join_jobs(undo_jobs, unfinished_jobs())
    redis.call('DECRBY', EXTRA_JOBS, math.max(0, #expected_jobs(id) - 1))
    for name in string.gmatch(redis.call('HGET', key, 'handlers') or '', '[^,]+') do
      end_lease(id .. '_' .. name, redis.call('HGET', key, 'queue:' .. name))
    end
    drop_jobs(id)
    reopen(id)
    queue_follow_ups(id, {}, jobs, 'abandoned', redis.call('HGET', key, 'erasing'))
  end

  -- Handle the certain end of a run that was given up and undone. If it may have had an effect, the orphan is listed
  -- again, in case it was resolved. It was counted as orphaned before.
  -- A run of the present round that the store does not know was claimed from a primary that failed before the claim had
  -- reached this server. Its end is handled in the same way, once.
  local function finish_late()
    local key = EVENT .. id
    local was_given_up = end_given_up(id, run_of(round, worker, claim))
    local is_first = txn and txn.round == round
      and redis.call('HSETNX', TXN .. id, 'ended:' .. run_of(worker, claim), 1) == 1
    if not was_given_up and not is_first then return end
    local is_orphan = is_unknown or outcome == 'completed'
    if is_orphan and not was_given_up then redis.call('HINCRBY', LEDGER, 'orphaned', 1) end
    if is_orphan then redis.call('ZADD', ORPHANS, 'NX', now_ms, id) end
    local is_erased = redis.call('HGET', key, 'outcome') == 'erased'  -- then only the id is left
    if is_orphan or (undo_jobs ~= '' and not is_erased) then redis.call('PERSIST', key) end
    if is_erased or (not is_orphan and undo_jobs == '') then return end
    redis.call('PERSIST', ATTEMPTS .. id)
    for i = run.first_attempt, run.last_attempt do add_attempt(id, ARGV[i]) end
    if undo_jobs ~= '' then undo_again() end
  end

  local earlier = earlier_result()
  if earlier then return earlier end
  finish_late()
  return 'stale'
end

local function settle(run)
  local id, round, worker, claim = run.id, run.round, run.worker, run.claim
  local txn = load_txn(id)
  forget_run(worker, run_of(id, round, claim))
  local is_registered = show_worker(worker, 'idle')
  if not is_current_run(txn, round, worker, claim) then return settle_late(run, txn) end
  local outcome = run.outcome
  for i = run.first_attempt, run.last_attempt do add_attempt(id, ARGV[i]) end
  if is_registered then
    redis.call('HINCRBY', WORKER .. worker, outcome == 'completed' and 'successful_job_count' or 'failed_job_count', 1)
  end
  txn.running = false  -- forgotten above: `finish_round` has no run to forget
  txn.facts, txn.collected = run.facts, collected
  if txn.state == 'running' and now_ms <= txn.deadline then
    if outcome == 'completed' then
      redis.call('HSET', TXN .. id, 'state', 'completed', 'running', '', 'undo_jobs', run.undo_jobs,
        'commit_jobs', run.commit_jobs, 'facts', run.facts, 'reported_run', run_of(worker, claim))
      notify_waiters(id, txn, 'completed', '')
      return 'completed'
    end
    decide(id, txn, outcome, run.reason, run_of(worker, claim))
  elseif txn.state == 'running' then
    decide(id, txn, 'abandoned', '', run_of(worker, claim))
  else
    redis.call('HSET', TXN .. id, 'running', '', 'reported_run', run_of(worker, claim))
  end
  finish_round(id, txn, run.undo_jobs, run.is_unknown or outcome == 'completed')
  return txn.state
end

local FIELDS_OF_A_RUN = 11
local at, replies = 1, {}
start_collecting()
while at <= #ARGV do
  local first_attempt = at + FIELDS_OF_A_RUN
  local last_attempt = first_attempt + tonumber(ARGV[first_attempt - 1]) - 1
  local run = {id = ARGV[at], round = ARGV[at + 1], worker = ARGV[at + 2], claim = ARGV[at + 3], outcome = ARGV[at + 4],
    is_unknown = ARGV[at + 5] == '1', reason = ARGV[at + 6], undo_jobs = ARGV[at + 7], commit_jobs = ARGV[at + 8],
    facts = ARGV[at + 9], first_attempt = first_attempt, last_attempt = last_attempt}
  local is_done, reply = pcall(settle, run)
  table.insert(replies, is_done and reply or refusal_of(reply))
  at = last_attempt + 1
end
write_collected()
return replies
