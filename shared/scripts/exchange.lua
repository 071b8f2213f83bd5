-- Apply a worker process's acks, then claim jobs.
--
-- ARGV: queue, process, exchange number, prefix of new tokens (it begins with the process's own prefix), lease in ms,
-- retention in s, handler timeout, claims wanted, how many of them start immediately (the others are *reserved*: a
-- crash does not count for them), patterns of the types of handlers with an order, the limits of a handler's own queue
-- ('' for any other), then acks, each: kind, job id, token, worker, what RQ's tools show of the job (0 nothing, 1 that it
-- runs, 2 its worker, too), number of arguments, and those. With limits, the last argument of a finish, retry or bury is
-- the verdict: good, bad, neither, or the ms for which no job of the queue may start.
-- Returns the acks' results as letters (d applied, s refused: stale or erased, k o c as `open_breaker` says), 1 if the
-- queue is paused, the claims, the ids of jobs without an event record, which were put aside, and with limits the ms
-- until the next job may start (-1: not known). A claim is:
-- job id, token, its runs with this one, retries spent, interruptions, type, tenant, application, handler, body, key
-- id, set if FusionAuth committed in spite of a refusal, decision, place in a line, 1 if a newer change was applied,
-- user, received at.
-- A repeated exchange gets its first reply again; an older one changes nothing and gets no reply.
local queue, process, number, prefix = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local lease_ms, retention, handler_timeout = tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7]
local wanted, starting, ordered_types = tonumber(ARGV[8]), tonumber(ARGV[9]), ARGV[10]
local token_prefix = string.match(prefix, '^[^-]*')
local limits = ARGV[11] ~= '' and read_limits(queue, ARGV[11])
local FIRST_ACK, EXCHANGE_TTL_SECONDS = 12, 3600

-- Writes of one kind are collected here and done in one command: a command costs the store more than its values.
local ended_claims, hidden, executions, finished, closed, run_counts = {}, {}, {}, {}, {}, {}
local valid_claims = {}  -- the claims that the acks name

local function end_claim(ack)
  if not valid_claims[ack.claim] then return false end
  valid_claims[ack.claim] = nil
  table.insert(ended_claims, ack.claim)
  if ack.shown == '2' then
    hide_execution(queue, ack.job_id, ack.claim)
  elseif ack.shown == '1' then
    table.insert(hidden, ack.claim)
    table.insert(executions, EXECUTION .. ack.claim)
    table.insert(executions, EXECUTIONS .. ack.job_id)
  end
  local record = redis.call('HMGET', EVENT .. event_of(ack.job_id), 'erasing', 'line:' .. handler_of(ack.job_id))
  ack.place = record[2]
  if not record[1] then return true end
  redis.call('ZREM', LEASES .. queue, ack.claim)  -- immediately: erasing looks there for running jobs
  return not erase_if_requested(ack.job_id)
end

-- Count a run in RQ's statistics of its workers.
local function count_run(worker, field, seconds)
  local counts = run_counts[worker] or {successful_job_count = 0, failed_job_count = 0, seconds = 0}
  counts[field] = counts[field] + 1
  counts.seconds = counts.seconds + tonumber(seconds)
  run_counts[worker] = counts
end

local function write_end(ack, status, started_at)
  write_to_job(ack.job_id, queue, handler_timeout, 'status', status,
    'started_at', started_at ~= '' and started_at or iso_now(), 'ended_at', iso_now(), 'worker_name', ack.worker)
end

-- A handler returned, or no handler matches. Arguments: outcome, attempt ('' for none), seconds, started at, the
-- event's id as 16 bytes ('' if it came as a transaction), its facts for the index ('' if not known).
local function apply_finish(ack, at)
  if ARGV[at + 1] ~= '' then add_attempt(ack.job_id, ARGV[at + 1]) end
  count_run(ack.worker, 'successful_job_count', ARGV[at + 2])
  write_end(ack, 'finished', ARGV[at + 3])
  table.insert(finished, now_seconds + RESULT_TTL_SECONDS)
  table.insert(finished, ack.job_id)
  add_result(ack.job_id, 1, '', ack.worker)
  redis.call('EXPIRE', JOB .. ack.job_id, RESULT_TTL_SECONDS)
  redis.call('EXPIRE', RESULTS .. ack.job_id, RESULT_TTL_SECONDS)
  close(ack.job_id, ARGV[at], retention, closed, ARGV[at + 4], ARGV[at + 5])
end

-- The other kinds of acks. Most exchanges have none of them, so their functions are created with the first one.
local others
local function apply_other(ack)
  if others then return others[ack.kind](ack, ack.at, ack.last) end
  others = {}

  -- A handler failed or asked to run later. Arguments: delay in ms, 1 if this spends a retry, attempt, exc, handler,
  -- seconds, started at.
  function others.retry(ack, at)
    assign_handler(ack.job_id, ARGV[at + 4])
    count_run(ack.worker, 'failed_job_count', ARGV[at + 5])
    add_attempt(ack.job_id, ARGV[at + 2])
    if ARGV[at + 1] == '1' then
      redis.call('HINCRBY', EVENT .. event_of(ack.job_id), 'spent:' .. handler_of(ack.job_id), 1)
    end
    add_result(ack.job_id, 4, ARGV[at + 3], ack.worker)
    write_end(ack, 'scheduled', ARGV[at + 6])
    schedule(ack.job_id, queue, tonumber(ARGV[at]))
  end

  -- A handler failed for good: a dead letter. Arguments: attempt, exc, handler, seconds, started at, failure.
  function others.bury(ack, at)
    assign_handler(ack.job_id, ARGV[at + 2])
    count_run(ack.worker, 'failed_job_count', ARGV[at + 3])
    add_attempt(ack.job_id, ARGV[at])
    write_end(ack, 'failed', ARGV[at + 4])
    bury(ack.job_id, queue, ARGV[at + 1], ack.worker, ARGV[at + 5])
  end

  -- The job goes back uncounted, to the front or after a delay. Arguments: delay in ms.
  function others.give_back(ack, at)
    redis.call('HINCRBY', EVENT .. event_of(ack.job_id), 'runs:' .. handler_of(ack.job_id), -1)
    reset_run_fields(ack.job_id, queue, handler_timeout)
    local delay_ms = tonumber(ARGV[at])
    if delay_ms > 0 then schedule(ack.job_id, queue, delay_ms) else enqueue_first(ack.job_id, queue) end
  end

  -- The job has a key of its handler's, and waits for its turn, uncounted. Arguments: its place.
  function others.place(ack, at)
    redis.call('HINCRBY', EVENT .. event_of(ack.job_id), 'runs:' .. handler_of(ack.job_id), -1)
    reset_run_fields(ack.job_id, queue, handler_timeout)
    order('queue_in_turn', ack.job_id, queue, ARGV[at])
  end

  -- Several handlers match the event: one job for each replaces the event's own. The body is stored once.
  -- Arguments: handler, its queue, its timeout, its place in a line ('': none), and so on.
  function others.fan_out(ack, at, last)
    local names = {}
    for i = at, last, 4 do
      table.insert(names, ARGV[i])
      redis.call('HSET', EVENT .. ack.job_id, 'queue:' .. ARGV[i], ARGV[i + 1])
    end
    redis.call('HSET', EVENT .. ack.job_id, 'handlers', table.concat(names, ','))
    redis.call('INCRBY', EXTRA_JOBS, #names - 1)
    reset_counters(ack.job_id)
    delete_job(ack.job_id)
    for i = at, last, 4 do
      local job_id = ack.job_id .. '_' .. ARGV[i]
      create_job(job_id, ARGV[i + 1], ARGV[i + 2])
      if ARGV[i + 3] == '' then enqueue(job_id, ARGV[i + 1]) else order('queue_in_turn', job_id, ARGV[i + 1], ARGV[i + 3]) end
    end
  end

  -- The job belongs on its handler's own queue, and goes there uncounted. Arguments: handler, queue, timeout.
  function others.move(ack, at)
    redis.call('HINCRBY', EVENT .. event_of(ack.job_id), 'runs:' .. handler_of(ack.job_id), -1)
    move_job(ack.job_id, ARGV[at], ARGV[at + 1], ARGV[at + 2])
  end

  others[ack.kind](ack, ack.at, ack.last)
end

-- Apply an ack of any kind. A skipped job had no reason to run: see `settle_turn`.
local function apply(ack)
  if ack.kind == 'finish' or ack.kind == 'skip' then return apply_finish(ack, ack.at) end
  apply_other(ack)
end

-- The breaker is open: the failure spends no retry and buries nothing. The job goes behind the others, so that the next
-- probe is another event: this one may be what fails. Arguments: as of retry or bury.
local function keep(ack)
  local at = ack.kind == 'retry' and ack.at + 2 or ack.at
  assign_handler(ack.job_id, ARGV[at + 2])
  count_run(ack.worker, 'failed_job_count', ARGV[at + 3])
  add_attempt(ack.job_id, (string.gsub(ARGV[at], '"outcome": "dead letter"', '"outcome": "failed"')))
  add_result(ack.job_id, 4, ARGV[at + 1], ack.worker)
  write_end(ack, 'queued', ARGV[at + 4])
  enqueue(ack.job_id, queue)
end

-- Apply an ack on a queue with limits. Returns its letter.
local judge, save_runs
local function apply_limited(ack)
  local letter = judge(ack, ARGV[ack.last])
  if letter == 'k' or letter == 'o' then keep(ack) else apply(ack) end
  return letter
end

-- A thread has started it. Sent only for long runs: the others have finished by the next exchange.
local function start(ack)
  if not valid_claims[ack.claim] then return false end
  show_execution(queue, ack.job_id, ack.claim, ack.worker, handler_timeout)
  if show_worker(ack.worker, 'busy') then
    redis.call('SADD', WORKER .. ack.worker .. ':executions', ack.claim)
    redis.call('EXPIRE', WORKER .. ack.worker .. ':executions', WORKER_TTL_SECONDS)
  end
  return true
end

local function find_valid_claims(claims)
  if #claims == 0 then return end
  for i, expires_at in ipairs(redis.call('ZMSCORE', LEASES .. queue, unpack(claims))) do
    valid_claims[claims[i]] = expires_at or nil
  end
end

local function write_collected()
  if #ended_claims > 0 then
    redis.call('ZREM', LEASES .. queue, unpack(ended_claims))
    redis.call('SREM', PROCESS_CLAIMS .. token_prefix, unpack(ended_claims))
    redis.call('ZREMRANGEBYSCORE', FINISHED .. queue, '-inf', now_seconds)
  end
  if #hidden > 0 then
    redis.call('ZREM', WIP .. queue, unpack(hidden))
    redis.call('DEL', unpack(executions))
  end
  if #finished > 0 then redis.call('ZADD', FINISHED .. queue, unpack(finished)) end
  for outcome, event_ids in pairs(closed) do count_closed(outcome, event_ids) end
  for worker, counts in pairs(run_counts) do add_to_worker_statistics(worker, counts) end
end

local function apply_acks()
  local acks, claims = read_acks(FIRST_ACK)
  find_valid_claims(claims)
  local results = {}
  for _, ack in ipairs(acks) do
    local letter = 's'
    if ack.kind == 'start' then
      if start(ack) then letter = 'd' end
    elseif end_claim(ack) then
      letter = 'd'
      if limits then letter = apply_limited(ack) else apply(ack) end
      if ack.place then order('settle', ack.job_id, ack.place, ack.kind, retention) end
    end
    table.insert(results, letter)
  end
  write_collected()
  if save_runs then save_runs() end
  return table.concat(results)
end

local last = redis.call('HMGET', EXCHANGE .. process, 'number', 'results')
local last_number = tonumber(last[1] or 0)
if last_number > number then return false end
if last_number == number then return {last[2], 0, find_claims(queue, token_prefix, prefix, now_ms + lease_ms), {}} end

if limits and #ARGV >= FIRST_ACK then judge, save_runs = open_breaker(limits, handler_timeout) end
local results = apply_acks()
local is_paused = wanted > 0
  and (redis.call('EXISTS', SUSPENDED) == 1 or redis.call('SISMEMBER', PAUSED, queue) == 1)
if limits then wanted = math.min(wanted, (may_start(limits))) end
local claims, without_record = {}, {}
if not is_paused then
  claims, without_record = claim_jobs({queue = queue, prefix = prefix, token_prefix = token_prefix, lease_ms = lease_ms,
    timeout = handler_timeout, wanted = wanted, starting = starting, ordered_types = ordered_types})
end
local wait_ms = limits and count_starts(limits, claims)
redis.call('HSET', EXCHANGE .. process, 'number', number, 'results', results)
redis.call('EXPIRE', EXCHANGE .. process, EXCHANGE_TTL_SECONDS)
return {results, is_paused and 1 or 0, claims, without_record, wait_ms or nil}
