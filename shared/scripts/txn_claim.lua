-- Start the handlers of the next transactional event that is in time.
-- ARGV: worker; its process; the number of this claim, which is greater than that of any before it; the run, as "id round
-- claim", that is settled by a call before this one in the same trip ('' for none).
-- Returns nothing, or {event id, round, claim, deadline, now, {type, tenant, application, body, key id}}.
local worker, claim = ARGV[1], ARGV[3]

local function started(id, txn)
  return {id, txn.round, claim, txn.deadline, now_ms,
    redis.call('HMGET', EVENT .. id, 'type', 'tenant', 'application', 'body', 'key_id')}
end

local function start(id, txn)
  local now = iso_now()
  redis.call('HSET', TXN .. id, 'state', 'running', 'running', '1', 'worker', worker, 'process', ARGV[2],
    'claim', claim)
  redis.call('SET', TXN_RUN .. worker, run_of(id, txn.round, claim))
  redis.call('ZADD', WIP .. TRANSACTIONAL, now_seconds + FAR_FUTURE_SECONDS, id .. ':' .. id)
  redis.call('HSET', JOB .. id, 'status', 'started', 'started_at', now, 'last_heartbeat', now, 'worker_name', worker)
  tell_worker(worker, 'state', 'busy')
  return started(id, txn)
end

-- A worker asks only when it runs nothing: what it still holds is an earlier claim whose reply was lost, and never started.
-- What it holds by a later one may run, and this is a packet that comes late.
local held = redis.call('GET', TXN_RUN .. worker)
if held and held == ARGV[4] then return false end  -- the store did not know txn_settle: that run is not over
if held then
  local id, round, before = string.match(held, '^(%S+) (%S+) (%S+)$')
  if tonumber(claim) <= tonumber(before) then return false end
  redis.call('DEL', TXN_RUN .. worker)
  local txn = load_txn(id)
  if is_in_force(txn, round, worker, before) then
    if txn.state == 'running' and now_ms <= txn.deadline then
      ring()  -- whoever was to be woken for another event still is
      return start(id, txn)
    end
    if txn.state == 'running' then decide(id, txn, 'abandoned', '') end
    conclude(id, txn, '', false)
  end
end

if redis.call('EXISTS', SUSPENDED) == 1 or redis.call('SISMEMBER', PAUSED, TRANSACTIONAL) == 1 then return false end
for _ = 1, 100 do
  local id = redis.call('LPOP', QUEUE .. TRANSACTIONAL)
  if not id then
    redis.call('DEL', BELL)  -- whoever it would wake would find nothing
    return false
  end
  local txn = load_txn(id)
  if txn and txn.state == 'waiting' then
    if now_ms <= txn.deadline then return start(id, txn) end
    decide(id, txn, 'abandoned', '')
    conclude(id, txn, '', false)
  elseif redis.call('EXISTS', EVENT .. id) == 0 and redis.call('EXISTS', JOB .. id) == 1 then
    -- Another application's, on a queue of the same name: aside, where it is seen.
    redis.call('HSET', JOB .. id, 'status', 'failed')
    redis.call('ZADD', FAILED .. TRANSACTIONAL, '+inf', id)
  end
end
return false
