-- One trip of a worker process to the store: tell what became of its claims, take what comes next.
--
-- ARGV: queue, process, trip number (0: none), prefix of new tokens (its mark first), lease in ms, retention in s, handler timeout,
--   claims wanted, how many of them start at once (the others are *reserved*: a crash does not count for them),
--   then notes, each: kind, job id, token, worker, 1 if RQ's tools see it run, how many arguments follow, and those.
-- Returns the notes' outcomes as letters (d done, s stale, or erased), 1 if the queue is paused, and the claims, each:
--   job id, token, its runs with this one, retries spent, interruptions, type, tenant, application, handler, body, key id, whether FusionAuth went ahead against a no.
-- A trip that was made already is answered as it was then; one that is older changes nothing and returns nothing.
local queue, process, number, prefix = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local lease_ms, retention, handler_timeout = tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7]
local wanted, starting = tonumber(ARGV[8]), tonumber(ARGV[9])
local mark = string.match(prefix, '^[^-]*')

-- What can be written for all of a trip's jobs in one command is collected here: a command costs the store more than the
-- values in it.
local gone, finished, books, tally = {}, {}, {}, {}
local in_force = {}  -- of the claims that the notes name

local function end_claim(n)
  if not in_force[n.claim] then return false end
  in_force[n.claim] = nil
  table.insert(gone, n.claim)
  if n.is_shown then hide_execution(queue, n.job_id, n.claim) end
  if redis.call('HEXISTS', EVENT .. event_of(n.job_id), 'erasing') == 0 then return true end
  redis.call('ZREM', LEASES .. queue, n.claim)  -- at once: erasing looks there for what still runs
  return not erase_if_wished(n.job_id)
end

-- RQ's counts of what its workers did.
local function count_run(worker, field, seconds)
  local counts = tally[worker] or {successful_job_count = 0, failed_job_count = 0, seconds = 0}
  counts[field] = counts[field] + 1
  counts.seconds = counts.seconds + tonumber(seconds)
  tally[worker] = counts
end

-- A claim that runs, as RQ's tools see it. `worker` is '' as long as nobody knows which thread will take it.
local function show_execution(job_id, claim, worker)
  local now, far = iso_now(), now_seconds + FAR_FUTURE_SECONDS
  redis.call('ZADD', WIP .. queue, far, claim)
  redis.call('ZADD', EXECUTIONS .. job_id, far, claim)
  redis.call('HSET', EXECUTION .. claim, 'id', string.match(claim, ':(.+)$'), 'job_id', job_id,
    'created_at', now_seconds, 'last_heartbeat', now_seconds, 'worker_name', worker)
  write_to_job(job_id, queue, handler_timeout, 'status', 'started', 'started_at', now, 'last_heartbeat', now,
    'ended_at', '', 'worker_name', worker ~= '' and worker or process)
end

local note = {}

local function write_end(n, status, started_at)
  write_to_job(n.job_id, queue, handler_timeout, 'status', status,
    'started_at', started_at ~= '' and started_at or iso_now(), 'ended_at', iso_now(), 'worker_name', n.worker)
end

-- A handler returned, or nobody wants the event. Arguments: outcome, attempt ('' for none), seconds, its beginning.
function note.finish(n, at)
  if ARGV[at + 1] ~= '' then remember_attempt(n.job_id, ARGV[at + 1]) end
  count_run(n.worker, 'successful_job_count', ARGV[at + 2])
  write_end(n, 'finished', ARGV[at + 3])
  table.insert(finished, now_seconds + RESULT_TTL_SECONDS)
  table.insert(finished, n.job_id)
  add_result(n.job_id, 1, '', n.worker)
  redis.call('EXPIRE', JOB .. n.job_id, RESULT_TTL_SECONDS)
  redis.call('EXPIRE', RESULTS .. n.job_id, RESULT_TTL_SECONDS)
  close(n.job_id, ARGV[at], retention, books)
end

-- It failed, or asked for later. Arguments: delay in ms, 1 if this spends a retry, attempt, exc, handler, seconds, beginning.
function note.retry(n, at)
  stays_with(n.job_id, ARGV[at + 4])
  count_run(n.worker, 'failed_job_count', ARGV[at + 5])
  remember_attempt(n.job_id, ARGV[at + 2])
  if ARGV[at + 1] == '1' then redis.call('HINCRBY', EVENT .. event_of(n.job_id), 'spent:' .. part_of(n.job_id), 1) end
  add_result(n.job_id, 4, ARGV[at + 3], n.worker)
  write_end(n, 'scheduled', ARGV[at + 6])
  schedule(n.job_id, queue, tonumber(ARGV[at]))
end

-- It failed for good: a dead letter. Arguments: attempt, exc, handler, seconds, beginning.
function note.bury(n, at)
  stays_with(n.job_id, ARGV[at + 2])
  count_run(n.worker, 'failed_job_count', ARGV[at + 3])
  remember_attempt(n.job_id, ARGV[at])
  write_end(n, 'failed', ARGV[at + 4])
  bury(n.job_id, queue, ARGV[at + 1], n.worker)
end

-- It goes back unharmed and uncounted: at once to the front, or after a delay. Arguments: delay in ms.
function note.give_back(n, at)
  redis.call('HINCRBY', EVENT .. event_of(n.job_id), 'runs:' .. part_of(n.job_id), -1)
  write_untaken(n.job_id, queue, handler_timeout)
  local delay_ms = tonumber(ARGV[at])
  if delay_ms > 0 then schedule(n.job_id, queue, delay_ms) else enqueue_first(n.job_id, queue) end
end

-- Several handlers want the event: one job for each, in place of the event's own. The body stays stored once.
-- Arguments: handler, its queue, its timeout, and so on.
function note.fan_out(n, at, last)
  local names = {}
  for i = at, last, 3 do
    table.insert(names, ARGV[i])
    redis.call('HSET', EVENT .. n.job_id, 'queue:' .. ARGV[i], ARGV[i + 1])
  end
  redis.call('HSET', EVENT .. n.job_id, 'handlers', table.concat(names, ','))
  redis.call('INCRBY', SPLIT, #names - 1)
  reset_counters(n.job_id)
  delete_job(n.job_id)
  for i = at, last, 3 do
    local job_id = n.job_id .. '_' .. ARGV[i]
    create_job(job_id, ARGV[i + 1], ARGV[i + 2])
    enqueue(job_id, ARGV[i + 1])
  end
end

-- A thread runs it. Said only of what runs for more than a moment: the rest has ended by the next trip.
local function start(n)
  if not in_force[n.claim] then return false end
  show_execution(n.job_id, n.claim, n.worker)
  if redis.call('EXISTS', WORKER .. n.worker) == 1 then
    redis.call('HSET', WORKER .. n.worker, 'state', 'busy')
    redis.call('SADD', WORKER .. n.worker .. ':executions', n.claim)
    redis.call('EXPIRE', WORKER .. n.worker .. ':executions', WORKER_TTL_SECONDS)
  end
  return true
end

local function read_notes()
  local notes, claims, at = {}, {}, 10
  while at <= #ARGV do
    local last = at + 5 + tonumber(ARGV[at + 5])
    local claim = ARGV[at + 1] .. ':' .. ARGV[at + 2]
    table.insert(claims, claim)
    table.insert(notes, {kind = ARGV[at], job_id = ARGV[at + 1], worker = ARGV[at + 3], is_shown = ARGV[at + 4] == '1',
      claim = claim, at = at + 6, last = last})
    at = last + 1
  end
  if #claims > 0 then
    for i, lapses_at in ipairs(redis.call('ZMSCORE', LEASES .. queue, unpack(claims))) do
      in_force[claims[i]] = lapses_at or nil
    end
  end
  return notes
end

local function write_what_was_collected()
  if #gone > 0 then
    redis.call('ZREM', LEASES .. queue, unpack(gone))
    redis.call('SREM', HELD .. mark, unpack(gone))
    redis.call('ZREMRANGEBYSCORE', FINISHED .. queue, '-inf', now_seconds)
  end
  if #finished > 0 then redis.call('ZADD', FINISHED .. queue, unpack(finished)) end
  for outcome, event_ids in pairs(books) do settle_books(outcome, event_ids) end
  for worker, counts in pairs(tally) do
    if redis.call('EXISTS', WORKER .. worker) == 1 then
      for _, field in ipairs({'successful_job_count', 'failed_job_count'}) do
        if counts[field] > 0 then redis.call('HINCRBY', WORKER .. worker, field, counts[field]) end
      end
      redis.call('HINCRBYFLOAT', WORKER .. worker, 'total_working_time', counts.seconds)
    end
  end
end

local function make_notes()
  local outcomes = {}
  for _, n in ipairs(read_notes()) do
    local is_done
    if n.kind == 'start' then
      is_done = start(n)
    else
      is_done = end_claim(n)
      if is_done then note[n.kind](n, n.at, n.last) end
    end
    table.insert(outcomes, is_done and 'd' or 's')
  end
  write_what_was_collected()
  return table.concat(outcomes)
end

local function record_of(job_id)
  local part = part_of(job_id)
  return redis.call('HMGET', EVENT .. event_of(job_id), 'type', 'closed_at', 'handlers', 'state:' .. part,
    'spent:' .. part, 'interrupted:' .. part, 'tenant', 'application', 'handler', 'body', 'runs:' .. part,
    'claim:' .. part, 'key_id', 'as_fact', 'decision')
end

local function taken(job_id, token, runs, record)
  return {job_id, token, tonumber(runs), tonumber(record[5] or 0), tonumber(record[6] or 0),
    record[1], record[7], record[8], record[9], record[10], record[13], record[14], record[15]}
end

local leases, held = {}, {}  -- of new claims, written together

local function start_lease(job_id, token, starts, runs)
  local claim, part = job_id .. ':' .. token, part_of(job_id)
  table.insert(leases, now_ms + lease_ms)
  table.insert(leases, claim)
  table.insert(held, claim)
  redis.call('HSET', EVENT .. event_of(job_id), 'runs:' .. part, runs, 'claim:' .. part, token)
  if starts then show_execution(job_id, claim, '') end
end

local function put_aside(job_id)
  redis.call('HSET', JOB .. job_id, 'status', 'failed')
  redis.call('ZADD', FAILED .. queue, '+inf', job_id)
end

-- Claim one job of those popped. Returns nothing if there is no reason to run it.
local function claim_job(job_id, token, starts, record)
  local has_job = redis.call('EXISTS', JOB .. job_id) == 1
  if not record[1] and has_job then
    -- Another application's, on a queue of the same name, or of a record deleted by hand: aside, where it is seen.
    return put_aside(job_id)
  end
  if not record[1] or record[2] or record[4] or (part_of(job_id) == '' and record[3]) then
    return delete_job(job_id)  -- closed, or split into one job per handler: a copy that nobody needs
  end
  if record[12] and redis.call('ZSCORE', LEASES .. queue, job_id .. ':' .. record[12]) then return end
  if not has_job then create_job(job_id, queue, handler_timeout) end
  local runs = tonumber(record[11] or 0) + 1
  start_lease(job_id, token, starts, runs)
  return taken(job_id, token, runs, record)
end

local function unpop(job_ids, first)
  for i = #job_ids, first, -1 do redis.call('LPUSH', QUEUE .. queue, job_ids[i]) end
end

-- Take jobs until so many are claimed; what stands in the queue without a reason to run is dropped on the way.
local function take()
  local claims, seen = {}, {}
  for _ = 1, 10 do
    local job_ids = #claims < wanted and redis.call('LPOP', QUEUE .. queue, wanted - #claims)
    if not job_ids then break end
    for i, job_id in ipairs(job_ids) do
      local record = record_of(job_id)
      local runs_alone = tonumber(record[6] or 0) > 0
      if runs_alone and #claims > 0 then
        unpop(job_ids, i)  -- it comes with the next trip
        return claims
      end
      local claim = not seen[job_id] and claim_job(job_id, prefix .. (#claims + 1), #claims < starting, record)
      seen[job_id] = true
      if claim then
        table.insert(claims, claim)
        if runs_alone then
          unpop(job_ids, i + 1)
          return claims
        end
      end
    end
  end
  return claims
end

local function write_leases(claims)
  if #held == 0 then return end
  redis.call('ZADD', LEASES .. queue, unpack(leases))
  redis.call('SADD', HELD .. mark, unpack(held))
  if redis.call('EXISTS', FAILED .. queue, SCHEDULED .. queue) == 0 then return end
  local job_ids = {}
  for _, claim in ipairs(claims) do table.insert(job_ids, claim[1]) end
  redis.call('ZREM', FAILED .. queue, unpack(job_ids))
  redis.call('ZREM', SCHEDULED .. queue, unpack(job_ids))
end

-- The claims of a trip whose reply was lost.
local function taken_before()
  local claims = {}
  for _, claim in ipairs(redis.call('SMEMBERS', HELD .. mark)) do
    local job_id, token = string.match(claim, '^([^:]+):(.+)$')
    if string.sub(token, 1, #prefix) == prefix and redis.call('ZSCORE', LEASES .. queue, claim) then
      local record = record_of(job_id)
      redis.call('ZADD', LEASES .. queue, now_ms + lease_ms, claim)
      table.insert(claims, taken(job_id, token, record[11] or 1, record))
    end
  end
  local function place(claim) return tonumber(string.sub(claim[2], #prefix + 1)) end
  table.sort(claims, function(one, other) return place(one) < place(other) end)
  return claims
end

if number > 0 then
  local last = redis.call('HMGET', TRIP .. process, 'number', 'outcomes')
  local last_number = tonumber(last[1] or 0)
  if last_number > number then return false end
  if last_number == number then return {last[2], 0, taken_before()} end
end

local outcomes = make_notes()
local is_paused = wanted > 0
  and (redis.call('EXISTS', SUSPENDED) == 1 or redis.call('SISMEMBER', PAUSED, queue) == 1)
local claims = is_paused and {} or take()
write_leases(claims)
if number > 0 then
  redis.call('HSET', TRIP .. process, 'number', number, 'outcomes', outcomes)
  redis.call('EXPIRE', TRIP .. process, TRIP_TTL_SECONDS)
end
return {outcomes, is_paused and 1 or 0, claims}
