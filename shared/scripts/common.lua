-- What the scripts share about events, jobs and claims.
--
-- A job's id is the event's id, or `{event}_{handler}` where several handlers want the event; the part behind the
-- underscore ("" for the event's own job) names its counters on the event record. A claim is `{job}:{token}` in the
-- set of leases: a script that carries a token which is no longer there changes nothing and returns 'stale'. A token
-- begins with the mark of the process that holds it, up to a '-'.

local FAR_FUTURE_SECONDS = 31536000  -- RQ's tools fail a job whose rq:wip entry has expired: ours never does
local ATTEMPTS_KEPT = 50
local WORKER_TTL_SECONDS = 90        -- as RQ's own heartbeat sets it for ours
local TRIP_TTL_SECONDS = 3600

local function create_job(job_id, queue, timeout)
  write_job(job_id, queue, timeout, redis.call('HGET', EVENT .. event_of(job_id), 'type') or '?', iso_now())
end

-- Write to a job's hash that somebody may have deleted by hand: it would come back as a fragment, which RQ cannot read, so
-- it is made anew. Only where there is none are all the fields new to it.
local function write_to_job(job_id, queue, timeout, ...)
  if 2 * redis.call('HSET', JOB .. job_id, ...) < select('#', ...) then return end
  create_job(job_id, queue, timeout)
  redis.call('HSET', JOB .. job_id, ...)
end

-- So that a job which shall run (again) is one to RQ, too, whatever was deleted.
local function make_whole(job_id, queue, timeout)
  if redis.call('HEXISTS', JOB .. job_id, 'data') == 0 then create_job(job_id, queue, timeout) end
end

local function enqueue(job_id, queue)
  know_queue(queue)
  redis.call('HSET', JOB .. job_id, 'status', 'queued', 'enqueued_at', iso_now(), 'origin', queue)
  redis.call('RPUSH', QUEUE .. queue, job_id)
end

-- To the front, with its old enqueued_at: it has waited since then.
local function enqueue_first(job_id, queue)
  know_queue(queue)
  redis.call('HSET', JOB .. job_id, 'status', 'queued', 'origin', queue)
  redis.call('LPUSH', QUEUE .. queue, job_id)
end

-- It goes back unharmed: to RQ it has neither begun nor ended. The heartbeat shows the sweep that it has moved.
local function write_untaken(job_id, queue, timeout)
  write_to_job(job_id, queue, timeout, 'started_at', '', 'ended_at', '', 'worker_name', '', 'last_heartbeat', iso_now())
end

local function schedule(job_id, queue, delay_ms)
  redis.call('HSET', JOB .. job_id, 'status', 'scheduled')
  redis.call('ZADD', SCHEDULED .. queue, now_seconds + delay_ms / 1000, job_id)
end

local function tell_worker(worker, ...)
  if redis.call('EXISTS', WORKER .. worker) == 1 then redis.call('HSET', WORKER .. worker, ...) end
end

local function holder_of(claim) return string.match(claim, ':([^-]*)') end

-- What RQ's tools see of a claim while it runs: an execution. One that is only reserved has none.
local function hide_execution(queue, job_id, claim)
  local worker = redis.call('HGET', EXECUTION .. claim, 'worker_name')
  if not worker then return false end
  redis.call('ZREM', WIP .. queue, claim)
  redis.call('DEL', EXECUTION .. claim, EXECUTIONS .. job_id)
  if worker ~= '' then
    redis.call('SREM', WORKER .. worker .. ':executions', claim)
    tell_worker(worker, 'state', 'idle')
  end
  return true
end

-- The record keeps the token of a job's last claim; the set of leases tells whether that is in force.
local function is_claimed(job_id, queue)
  local token = redis.call('HGET', EVENT .. event_of(job_id), 'claim:' .. part_of(job_id))
  return token and redis.call('ZSCORE', LEASES .. queue, job_id .. ':' .. token) ~= false
end

local function delete_job(job_id)
  redis.call('DEL', JOB .. job_id, RESULTS .. job_id, EXECUTIONS .. job_id)
end

-- The jobs that an event must have: none when it is closed, else its own, or one for each handler not done with it.
local function pending_jobs(event_id)
  local key = EVENT .. event_id
  local known = redis.call('HMGET', key, 'handlers', 'closed_at')
  if known[2] then return {} end
  if not known[1] then return redis.call('ZSCORE', OPEN, event_id) and {event_id} or {} end
  local names, states, jobs = {}, {}, {}
  for name in string.gmatch(known[1], '[^,]+') do
    table.insert(names, name)
    table.insert(states, 'state:' .. name)
  end
  for i, state in ipairs(redis.call('HMGET', key, unpack(states))) do
    if not state then table.insert(jobs, event_id .. '_' .. names[i]) end
  end
  return jobs
end

-- Every job of an event that does not run goes, wherever it is. Returns whether one runs, and how many were dead.
local function drop_jobs(event_id)
  local key, running, dead = EVENT .. event_id, false, 0
  local function drop(job_id, queue)
    local known = redis.call('HMGET', JOB .. job_id, 'origin', 'status')
    queue = known[1] or queue
    if is_claimed(job_id, queue) then
      running = true
      return false
    end
    dead = dead + redis.call('ZREM', FAILED .. queue, job_id)
    redis.call('ZREM', SCHEDULED .. queue, job_id)
    redis.call('ZREM', FINISHED .. queue, job_id)
    if known[2] == 'queued' then  -- costs the queue's length, so not for what is done
      redis.call('LREM', QUEUE .. queue, 0, job_id)
      redis.call('LREM', QUEUE .. queue .. INTERMEDIATE_SUFFIX, 0, job_id)
    end
    delete_job(job_id)
    return true
  end
  drop(event_id, 'events')
  for name in string.gmatch(redis.call('HGET', key, 'handlers') or '', '[^,]+') do
    if drop(event_id .. '_' .. name, redis.call('HGET', key, 'queue:' .. name) or 'events') then
      -- While another part still runs: neither the sweep nor a claim makes this one a job again.
      redis.call('HSETNX', key, 'state:' .. name, 'erased')
    end
  end
  return running, dead
end

-- What stays of an event is that its id was seen, so that a second copy of it does not bring the data back. Where a job
-- of it runs, that may finish: the record keeps the wish, and the end of the claim (`release`) comes back here.
-- Returns 'erased' or 'running', how many attempts and how many dead letters went.
local function erase(event_id, retention)
  local key = EVENT .. event_id
  -- Its sender waits, or its handlers run: `hand_over` comes back here. Or what they did is being undone, which needs the
  -- body: `close` does.
  if redis.call('ZSCORE', TXNS, event_id) or redis.call('HEXISTS', key, 'undo_first') == 1 then
    redis.call('HSET', key, 'erasing', retention)
    return 'running', 0, 0
  end
  local jobs = #pending_jobs(event_id)
  local running, dead = drop_jobs(event_id)
  -- What a split event has more than one of.
  redis.call('DECRBY', SPLIT, math.max(0, jobs - 1) - math.max(0, #pending_jobs(event_id) - 1))
  if running then
    redis.call('HSET', key, 'erasing', retention)
    return 'running', 0, dead
  end
  local attempts = redis.call('LLEN', ATTEMPTS .. event_id)
  local decision = redis.call('HGET', key, 'decision')  -- what its sender was told stands
  redis.call('DEL', key, ATTEMPTS .. event_id)
  redis.call('HSET', key, 'closed_at', now_ms, 'outcome', 'erased')
  if decision then redis.call('HSET', key, 'decision', decision) end
  redis.call('ZREM', ORPHANS, event_id)
  redis.call('EXPIRE', key, retention)
  if redis.call('ZREM', OPEN, event_id) == 1 then redis.call('HINCRBY', LEDGER, 'erased', 1) end
  return 'erased', attempts, dead
end

-- Where an event was to be erased as soon as what runs of it ends: now. The lease that ends must be off its set already.
local function erase_if_wished(job_id)
  local wish = redis.call('HMGET', EVENT .. event_of(job_id), 'erasing', 'undo_first')
  if not wish[1] or wish[2] then return false end
  erase(event_of(job_id), wish[1])
  return true
end

-- What was to be erased is undone, so it goes. An orphan that nobody has looked after stays listed, by its id alone.
local function erase_undone(event_id, retention)
  local orphan_since = redis.call('ZSCORE', ORPHANS, event_id)
  redis.call('HDEL', EVENT .. event_id, 'undo_first')
  erase(event_id, retention)
  if not orphan_since then return end
  redis.call('ZADD', ORPHANS, orphan_since, event_id)
  redis.call('PERSIST', EVENT .. event_id)
end

-- End a claim. False: it is no longer in force, or the event was to be erased when it ends and now is. The caller must
-- change nothing.
local function release(queue, job_id, token)
  local claim = job_id .. ':' .. token
  if redis.call('ZREM', LEASES .. queue, claim) == 0 then return false end
  redis.call('SREM', HELD .. holder_of(claim), claim)
  hide_execution(queue, job_id, claim)
  return not erase_if_wished(job_id)
end

local function remember_attempt(job_id, attempt)
  local key = ATTEMPTS .. event_of(job_id)
  if redis.call('RPUSH', key, attempt) > ATTEMPTS_KEPT then redis.call('LTRIM', key, -ATTEMPTS_KEPT, -1) end
end

-- RQ's result types: 1 successful, 2 failed, 3 stopped, 4 retried. `exc` is base64 of zlib, or ''.
local function add_result(job_id, kind, exc, worker)
  local fields = {'type', kind, 'worker_name', worker}
  if exc ~= '' then
    table.insert(fields, 'exc_string')
    table.insert(fields, exc)
  end
  redis.call('XADD', RESULTS .. job_id, 'MAXLEN', 10, '*', unpack(fields))
end

-- From its first failure on, an event is the business of the handler that failed, whatever is deployed meanwhile.
local function stays_with(job_id, handler)
  if part_of(job_id) == '' then redis.call('HSET', EVENT .. event_of(job_id), 'handler', handler) end
end

local function reset_counters(job_id)
  local part = part_of(job_id)
  redis.call('HDEL', EVENT .. event_of(job_id), 'runs:' .. part, 'spent:' .. part, 'interrupted:' .. part,
    'claim:' .. part)
end

-- A dead letter is an entry in RQ's FailedJobRegistry; the budget is full again for whoever requeues it.
local function bury(job_id, queue, exc, worker)
  reset_counters(job_id)
  redis.call('HSET', JOB .. job_id, 'status', 'failed', 'ended_at', iso_now(), 'worker_name', worker)
  redis.call('PERSIST', JOB .. job_id)
  redis.call('ZADD', FAILED .. queue, '+inf', job_id)
  add_result(job_id, 2, exc, worker)
  redis.call('PERSIST', RESULTS .. job_id)
end

-- Take events off the open set, and count those that were on it.
local function settle_books(outcome, event_ids)
  local closed = redis.call('ZREM', OPEN, unpack(event_ids))
  if closed > 0 then redis.call('HINCRBY', LEDGER, outcome == 'discarded' and 'discarded' or 'done', closed) end
end

-- Close an event, or one handler's part of it: the event closes with the last part.
-- `books`, if given, collects what settle_books needs, by outcome: the caller settles many at once.
local function close(job_id, outcome, retention, books)
  local event_id, part = event_of(job_id), part_of(job_id)
  local key = EVENT .. event_id
  if part ~= '' and redis.call('EXISTS', key) == 0 then return end
  if part ~= '' then
    local is_news = redis.call('HSET', key, 'state:' .. part, outcome) == 1
    for name in string.gmatch(redis.call('HGET', key, 'handlers') or '', '[^,]+') do
      local state = redis.call('HGET', key, 'state:' .. name)
      if not state then
        if is_news then redis.call('DECR', SPLIT) end
        return
      end
      if state == 'discarded' then outcome = 'discarded' end
    end
    local erasing = redis.call('HGET', key, 'erasing')
    if erasing then return erase_undone(event_id, erasing) end
  end
  if redis.call('EXPIRE', key, retention) == 0 then return end  -- its record was deleted by hand
  redis.call('HSET', key, 'closed_at', now_ms, 'outcome', outcome)
  if redis.call('ZSCORE', ORPHANS, event_id) then  -- an orphan stays until a person has resolved it
    redis.call('PERSIST', key)
  else
    redis.call('EXPIRE', ATTEMPTS .. event_id, retention)
  end
  if not books then return settle_books(outcome, {event_id}) end
  books[outcome] = books[outcome] or {}
  table.insert(books[outcome], event_id)
end
