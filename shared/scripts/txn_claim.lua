-- Start the handlers of the next transactional event that is in time.
-- ARGV: worker; its process; the number of this claim, which is greater than that of any earlier claim; the worker's
-- last run, as "id round claim", which it has settled or settles with a call before this one ('' for none).
-- Returns nothing, {event id, round, claim, deadline, now, {type, tenant, application, body, key id, user,
-- received at}}, or 'unsettled'.
local worker, claim = ARGV[1], ARGV[3]

local function claim_of(id, txn)
  return {id, txn.round, claim, txn.deadline, now_ms,
    redis.call('HMGET', EVENT .. id, 'type', 'tenant', 'application', 'body', 'key_id', 'user', 'received_at')}
end

local function start(id, txn)
  local now = iso_now()
  redis.call('HSET', TXN .. id, 'state', 'running', 'running', '1', 'worker', worker, 'process', ARGV[2],
    'claim', claim)
  redis.call('SET', TXN_RUN .. worker, run_of(id, txn.round, claim))
  redis.call('ZADD', WIP .. TRANSACTIONAL, now_seconds + FAR_FUTURE_SECONDS, id .. ':' .. id)
  redis.call('HSET', JOB .. id, 'status', 'started', 'started_at', now, 'last_heartbeat', now)
  show_worker(worker, 'busy')
  return claim_of(id, txn)
end

-- A worker claims only while it runs nothing. So if it still holds a run, that is an earlier claim whose reply was
-- lost, and its handlers have not started. If the held claim is a later one, its handlers may run, and this is a late
-- packet.
local held = redis.call('GET', TXN_RUN .. worker)
-- The outcome of the worker's last run is lost: it went to a primary that failed before it had reached this server, or
-- the store did not know txn_settle. The worker must report it again.
if held and held == ARGV[4] then return 'unsettled' end
if held then
  local id, round, before = string.match(held, '^(%S+) (%S+) (%S+)$')
  if tonumber(claim) <= tonumber(before) then return false end
  redis.call('DEL', TXN_RUN .. worker)
  local txn = load_txn(id)
  if is_current_run(txn, round, worker, before) then
    if txn.state == 'running' and now_ms <= txn.deadline then
      wake_workers(1)  -- another event's wake-up may have been used up by this call
      return start(id, txn)
    end
    end_unstarted(id, txn)
  end
end

if redis.call('EXISTS', SUSPENDED) == 1 or redis.call('SISMEMBER', PAUSED, TRANSACTIONAL) == 1 then return false end
for _ = 1, 100 do
  local id = redis.call('LPOP', QUEUE .. TRANSACTIONAL)
  if not id then
    redis.call('DEL', WAKE_UP)  -- a wake-up would find an empty queue
    return false
  end
  local txn = load_txn(id)
  if txn and txn.state == 'waiting' then
    if now_ms <= txn.deadline then return start(id, txn) end
    expire(id, txn)
  elseif redis.call('EXISTS', EVENT .. id) == 0 and redis.call('EXISTS', JOB .. id) == 1 then
    set_aside(id, TRANSACTIONAL)
  end
end
return false
