-- Event records: the jobs an event must have, its attempts, closing, erasing and reopening it.

local ATTEMPTS_KEPT = 50

-- Returns the type of a stored event if a delivery with its id is another event. An encrypted body is another one each
-- time; an erased one is gone.
local function other_type(known_type, known_body, known_key_id, event_type, body, key_id)
  if not known_type then return nil end
  local is_comparable = known_body and not known_key_id and key_id == ''
  if known_type ~= event_type or is_comparable and known_body ~= body then return known_type end
end

-- How many events may be opened under a limit of those that wait or run; `wanted` or more need not be exact. An event
-- whose jobs are all dead letters does not count, until there are more of these than the limit, too.
local function backlog_room(limit, wanted)
  local open = redis.call('ZCARD', OPEN)
  if limit - open >= wanted then return limit - open end  -- the usual case costs no more than this
  local jobs = open + tonumber(redis.call('GET', EXTRA_JOBS) or 0)
  for _, queue in ipairs(redis.call('SMEMBERS', OUR_QUEUES)) do jobs = jobs - redis.call('ZCARD', FAILED .. queue) end
  return limit - math.max(open - limit, math.min(open, jobs))
end

-- The record keeps the token of a job's last claim, and the leases show if that claim is current.
local function is_claimed(job_id, queue)  -- rare
  local token = redis.call('HGET', EVENT .. event_of(job_id), 'claim:' .. handler_of(job_id))
  return token and redis.call('ZSCORE', LEASES .. queue, job_id .. ':' .. token) ~= false
end

-- The jobs that an event must have: none if it is closed, else its own, or one for each handler that has not
-- finished.
local function expected_jobs(event_id)  -- rare
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

local function is_expected(job_id)
  for _, each in ipairs(expected_jobs(event_of(job_id))) do
    if each == job_id then return true end
  end
  return false
end

local function add_attempt(job_id, attempt)
  local key = ATTEMPTS .. event_of(job_id)
  if redis.call('RPUSH', key, attempt) > ATTEMPTS_KEPT then redis.call('LTRIM', key, -ATTEMPTS_KEPT, -1) end
end

-- After its first failure an event stays with the handler that failed, even if other handlers are deployed later.
local function assign_handler(job_id, handler)  -- rare
  if handler_of(job_id) == '' then redis.call('HSET', EVENT .. event_of(job_id), 'handler', handler) end
end

local function reset_counters(job_id)  -- rare
  local handler = handler_of(job_id)
  redis.call('HDEL', EVENT .. event_of(job_id), 'runs:' .. handler, 'spent:' .. handler, 'interrupted:' .. handler,
    'claim:' .. handler, 'misdirected:' .. handler)
end

-- Delete every job of an event that is not running. Returns true if one is running, and how many were dead letters.
local function drop_jobs(event_id)  -- rare
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
    order('forget', job_id, queue)
    if known[2] == 'queued' then  -- LREM costs the queue's length, so it is spared for jobs that are done
      redis.call('LREM', QUEUE .. queue, 0, job_id)
      redis.call('LREM', QUEUE .. queue .. INTERMEDIATE_SUFFIX, 0, job_id)
    end
    delete_job(job_id)
    return true
  end
  drop(event_id, 'events')
  for name in string.gmatch(redis.call('HGET', key, 'handlers') or '', '[^,]+') do
    if drop(event_id .. '_' .. name, redis.call('HGET', key, 'queue:' .. name) or 'events') then
      -- Another handler may still run. Until the event is gone, neither the sweep nor a claim creates this job again.
      redis.call('HSETNX', key, 'state:' .. name, 'erased')
    end
  end
  return running, dead
end

-- Keep the id of an event known that is closed. A refused transaction may be submitted again, so its id is not kept.
-- `packed_id` is given if the event is known to be none.
local function remember_closed(event_id, packed_id)
  if not packed_id or packed_id == '' then
    local known = redis.call('HMGET', EVENT .. event_id, 'decision', 'committed')
    if known[1] and known[1] ~= 'completed' and not known[2] then return end
    packed_id = pack_id(event_id)
  end
  remember_id(event_id, packed_id)
end

-- Erase an event. Only its id and decision stay, so that a second copy of the event does not bring the data back. A
-- running job may finish: the record keeps the request in `erasing`, and the end of the claim (`release`) calls this
-- again.
-- Returns 'erased' or 'running', and how many attempts and dead letters were deleted.
local function erase(event_id, retention)  -- rare
  local key = EVENT .. event_id
  -- While the sender waits or the handlers run, `queue_follow_ups` calls this again later. While effects are being
  -- undone, which needs the body, `close` does.
  if redis.call('ZSCORE', TXNS, event_id) or redis.call('HEXISTS', key, 'undo_first') == 1 then
    redis.call('HSET', key, 'erasing', retention)
    return 'running', 0, 0
  end
  local jobs = #expected_jobs(event_id)
  local running, dead = drop_jobs(event_id)
  redis.call('DECRBY', EXTRA_JOBS, math.max(0, jobs - 1) - math.max(0, #expected_jobs(event_id) - 1))
  if running then
    redis.call('HSET', key, 'erasing', retention)
    return 'running', 0, dead
  end
  local attempts = redis.call('LLEN', ATTEMPTS .. event_id)
  -- The sender's response stays final, and a run that was given up stays known.
  local kept = redis.call('HMGET', key, 'decision', 'given_up', 'row')
  remember_closed(event_id)
  leave_groups(event_id)
  clear_row(event_id, kept[3])
  forget_summary(kept[3])
  redis.call('DEL', key, ATTEMPTS .. event_id)
  redis.call('HSET', key, 'closed_at', now_ms, 'outcome', 'erased')
  if kept[1] then redis.call('HSET', key, 'decision', kept[1]) end
  if kept[2] then redis.call('HSET', key, 'given_up', kept[2]) end
  redis.call('ZREM', ORPHANS, event_id)
  redis.call('EXPIRE', key, retention)
  if redis.call('ZREM', OPEN, event_id) == 1 then redis.call('HINCRBY', LEDGER, 'erased', 1) end
  return 'erased', attempts, dead
end

-- Erase an event whose erasure waited for a running job. The job's lease must be off its set already.
local function erase_if_requested(job_id)  -- rare
  local request = redis.call('HMGET', EVENT .. event_of(job_id), 'erasing', 'undo_first')
  if not request[1] or request[2] then return false end
  erase(event_of(job_id), request[1])
  return true
end

-- Erase an event whose effects have been undone. An orphan that is not resolved yet stays listed by its id.
local function erase_after_undo(event_id, retention)  -- rare
  local orphan_since = redis.call('ZSCORE', ORPHANS, event_id)
  redis.call('HDEL', EVENT .. event_id, 'undo_first')
  erase(event_id, retention)
  if not orphan_since then return end
  redis.call('ZADD', ORPHANS, orphan_since, event_id)
  redis.call('PERSIST', EVENT .. event_id)
end

-- Take events off the open set, and count in the ledger those that were on it.
local function count_closed(outcome, event_ids)
  write_rows()
  if redis.call('EXISTS', BODY_RETENTION) == 1 then
    local entries = {}
    for i, event_id in ipairs(event_ids) do entries[i] = event_id .. ' ' .. now_ms end
    redis.call('RPUSH', CLOSED_BODIES, unpack(entries))
  end
  local count = redis.call('ZREM', OPEN, unpack(event_ids))
  if count > 0 then redis.call('HINCRBY', LEDGER, outcome == 'discarded' and 'discarded' or 'done', count) end
end

-- Close an event for one handler, or altogether: an event closes with its last handler.
-- `closed`, if given, collects event ids by outcome, for a caller that counts many with one call of `count_closed`.
-- `packed_id`: see `remember_closed`; `facts`: see `add_row`.
local function close(job_id, outcome, retention, closed, packed_id, facts)
  local event_id, handler = event_of(job_id), handler_of(job_id)
  local key = EVENT .. event_id
  if handler ~= '' and redis.call('EXISTS', key) == 0 then return end
  if handler ~= '' then
    local is_first = redis.call('HSET', key, 'state:' .. handler, outcome) == 1
    for name in string.gmatch(redis.call('HGET', key, 'handlers') or '', '[^,]+') do
      local state = redis.call('HGET', key, 'state:' .. name)
      if not state then
        if is_first then redis.call('DECR', EXTRA_JOBS) end
        return
      end
      if state == 'discarded' then outcome = 'discarded' end
    end
    local erasing = redis.call('HGET', key, 'erasing')
    if erasing then return erase_after_undo(event_id, erasing) end
  end
  if redis.call('EXPIRE', key, retention) == 0 then return end  -- its record was deleted by hand
  redis.call('HSET', key, 'closed_at', now_ms, 'outcome', outcome, 'row',
    add_row(event_id, packed_id, facts, outcome, retention) or '')
  remember_closed(event_id, packed_id)
  if (not packed_id or packed_id == '') and redis.call('ZSCORE', ORPHANS, event_id) then
    redis.call('PERSIST', key)  -- an orphan stays until a person has resolved it
  else
    redis.call('EXPIRE', ATTEMPTS .. event_id, retention)
  end
  if not closed then return count_closed(outcome, {event_id}) end
  closed[outcome] = closed[outcome] or {}
  table.insert(closed[outcome], event_id)
end

-- Delete a job and its counters.
local function forget_job(job_id, known_queue)  -- rare
  local queue = redis.call('HGET', JOB .. job_id, 'origin') or known_queue or 'events'
  redis.call('ZREM', FINISHED .. queue, job_id)
  delete_job(job_id)
  reset_counters(job_id)
end

-- Count that an operator runs an event again, or one of its dead letters.
local function count_replay(event_id)  -- rare
  redis.call('HINCRBY', LEDGER, 'replayed', 1)
  if redis.call('EXISTS', EVENT .. event_id) == 1 then redis.call('HINCRBY', EVENT .. event_id, 'replays', 1) end
end

-- Open a closed event again as if no handler had run, each with its full retry budget.
local function reopen(id)  -- rare
  local key = EVENT .. id
  local record = redis.call('HMGET', key, 'handlers', 'outcome', 'row')
  clear_row(id, record[3])
  for name in string.gmatch(record[1] or '', '[^,]+') do
    forget_job(id .. '_' .. name, redis.call('HGET', key, 'queue:' .. name))
    redis.call('HDEL', key, 'state:' .. name, 'queue:' .. name, 'line:' .. name)
  end
  forget_job(id)
  redis.call('HDEL', key, 'handlers', 'handler', 'closed_at', 'outcome', 'row', 'line:')
  redis.call('HSET', key, 'numbered_at', now_ms)
  redis.call('PERSIST', key)
  redis.call('PERSIST', ATTEMPTS .. id)
  if renumber(id) == 1 then
    redis.call('HINCRBY', LEDGER, record[2] == 'discarded' and 'discarded' or 'done', -1)
  end
end
