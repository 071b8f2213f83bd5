-- Start the handlers of the next transactional events that are in time, one for each worker.
-- ARGV: the workers' process, then for each worker its name, the number of this claim, which is greater than that of
-- any earlier one of this worker, and its last run, as "id round claim", which it has settled or settles with a call
-- before this one ('' for none).
-- Returns for each worker nothing, {event id, round, claim, deadline, now, {type, tenant, application, body, key id,
-- user, received at}}, or 'unsettled'. Where an event's own keys cause an error, 'refused ' and its code.
local process = ARGV[1]
local started = {}  -- score and member of each event started, for one ZADD at the end

local function claim_of(id, txn, claim)
  return {id, txn.round, claim, txn.deadline, now_ms,
    redis.call('HMGET', EVENT .. id, 'type', 'tenant', 'application', 'body', 'key_id', 'user', 'received_at')}
end

local function start(id, txn, worker, claim)
  local now = iso_now()
  redis.call('HSET', TXN .. id, 'state', 'running', 'running', '1', 'worker', worker, 'process', process,
    'claim', claim)
  redis.call('SET', TXN_RUN .. worker, run_of(id, txn.round, claim))
  table.insert(started, now_seconds + FAR_FUTURE_SECONDS)
  table.insert(started, id .. ':' .. id)
  redis.call('HSET', JOB .. id, 'status', 'started', 'started_at', now, 'last_heartbeat', now)
  show_worker(worker, 'busy')
  return claim_of(id, txn, claim)
end

-- Suspended, paused, or found empty.
local gives_nothing = redis.call('EXISTS', SUSPENDED) == 1 or redis.call('SISMEMBER', PAUSED, TRANSACTIONAL) == 1

-- The next event that is in time.
local function start_next(worker, claim)
  for _ = 1, 100 do
    if gives_nothing then return false end
    local id = redis.call('LPOP', QUEUE .. TRANSACTIONAL)
    if not id then
      redis.call('DEL', WAKE_UP)  -- a wake-up would find an empty queue
      gives_nothing = true
      return false
    end
    local txn = load_txn(id)
    if txn and txn.state == 'waiting' then
      if now_ms <= txn.deadline then return start(id, txn, worker, claim) end
      expire(id, txn)
    elseif redis.call('EXISTS', EVENT .. id) == 0 and redis.call('EXISTS', JOB .. id) == 1 then
      set_aside(id, TRANSACTIONAL)
    end
  end
  return false
end

-- A worker claims only while it runs nothing. So if it still holds a run, that is an earlier claim whose reply was
-- lost, and its handlers have not started. If the held claim is a later one, its handlers may run, and this is a late
-- packet.
local function claim_for(worker, claim, last)
  local held = redis.call('GET', TXN_RUN .. worker)
  if not held then return start_next(worker, claim) end
  -- The outcome of the worker's last run is lost: it went to a primary that failed before it had reached this server, or
  -- the store did not know txn_settle. The worker must report it again.
  if held == last then return 'unsettled' end
  local id, round, before = string.match(held, '^(%S+) (%S+) (%S+)$')
  if tonumber(claim) <= tonumber(before) then return false end
  redis.call('DEL', TXN_RUN .. worker)
  local txn = load_txn(id)
  if is_current_run(txn, round, worker, before) then
    if txn.state == 'running' and now_ms <= txn.deadline then
      wake_workers(1)  -- another event's wake-up may have been used up by this call
      return start(id, txn, worker, claim)
    end
    end_unstarted(id, txn)
  end
  return start_next(worker, claim)
end

local replies = {}
for at = 2, #ARGV, 3 do
  local is_done, reply = pcall(claim_for, ARGV[at], ARGV[at + 1], ARGV[at + 2])
  table.insert(replies, is_done and reply or not is_done and refusal_of(reply))
end
if #started > 0 then redis.call('ZADD', WIP .. TRANSACTIONAL, unpack(started)) end
return replies
