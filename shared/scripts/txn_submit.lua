-- Submit a transactional event to its handlers, or join the requests that wait for it, or return its decision.
-- ARGV: event id, type, tenant, user, application, source, body, handler timeout, round, ms left until the deadline,
-- the ingest process, ms a refusal is remembered, ms after the deadline in which an outcome may be confirmed, retention
-- in s, ms after its last heartbeat for which a worker counts as alive, the fingerprint of the key the body is
-- encrypted with (none or '': it is plain), limit of waiting events (none: unlimited).
-- Returns {state, round, ms left, reason, the type of the stored event if it is another event with the same id}; state
-- is waiting, completed, rejected, failed, abandoned, unconfirmed (a success that waits to be confirmed), duplicate (an
-- event that never was a transaction), paused (an operator paused the queue), no_worker (no worker is available) or
-- backlog (the limit of waiting events is reached).
local id, process = ARGV[1], ARGV[11]
local key = EVENT .. id
local txn = load_txn(id)
local record = redis.call('HMGET', key, 'type', 'decision', 'reason', 'closed_at', 'body', 'committed', 'key_id')
local known_type = other_type(record[1], record[5], record[7], ARGV[2], ARGV[7], ARGV[16] or '') or ''

local function reply(state, round, ms_left, reason) return {state, round, ms_left, reason, known_type} end

if txn and (txn.state == 'waiting' or txn.state == 'running' or txn.state == 'completed') then
  local is_undecided = txn.state ~= 'completed'
  if is_undecided and now_ms > txn.deadline then
    if not txn.running then redis.call('LREM', QUEUE .. TRANSACTIONAL, 1, id) end
    expire(id, txn)
    return reply('abandoned', txn.round, 0, '')
  end
  if not is_undecided and not is_confirmable(txn) then
    make_orphan(id, txn)
    return reply('abandoned', txn.round, 0, '')
  end
  local waiters = ' ' .. (txn.waiters or '') .. ' '
  if not string.find(waiters, ' ' .. process .. ' ', 1, true) then
    redis.call('HSET', TXN .. id, 'waiters', txn.waiters .. ' ' .. process)
  end
  redis.call('HINCRBY', TXN .. id, 'requests', 1)
  return reply(is_undecided and 'waiting' or 'unconfirmed', txn.round, math.max(0, txn.deadline - now_ms), '')
end

if txn then return reply(txn.state, txn.round, 0, record[3] or '') end
if record[1] or record[4] then
  if not record[2] then return reply('duplicate', '', 0, '') end
  -- A refusal is final while its effects are being undone, once the event is erased, and once a person has said that
  -- FusionAuth committed its transaction.
  local is_final = record[2] ~= 'pending' and (not record[4] or not record[1] or record[6])
  if record[2] == 'completed' or is_final then return reply(record[2], '', 0, record[3] or '') end
elseif is_known_id(id, pack_id(id)) then
  return reply('duplicate', '', 0, '')
end
if redis.call('EXISTS', SUSPENDED) == 1 or redis.call('SISMEMBER', PAUSED, TRANSACTIONAL) == 1 then
  return reply('paused', '', 0, '')
end
if redis.call('ZCOUNT', ALIVE .. 'queue:' .. TRANSACTIONAL, '(' .. now_ms - ARGV[15], '+inf') == 0 then
  return reply('no_worker', '', 0, '')
end
if ARGV[17] and backlog_room(tonumber(ARGV[17]), 1) < 1 then return reply('backlog', '', 0, '') end

if not record[1] then
  redis.call('HSET', key, 'type', ARGV[2], 'tenant', ARGV[3], 'user', ARGV[4], 'application', ARGV[5],
    'source', ARGV[6], 'body', ARGV[7], 'received_at', now_ms)
  if ARGV[16] and ARGV[16] ~= '' then redis.call('HSET', key, 'key_id', ARGV[16]) end
  redis.call('ZADD', OPEN, redis.call('HINCRBY', LEDGER, 'accepted', 1), id)
else
  reopen(id)
  if not record[5] then  -- it has expired
    redis.call('HSET', key, 'body', ARGV[7])
    if ARGV[16] and ARGV[16] ~= '' then redis.call('HSET', key, 'key_id', ARGV[16]) end
  end
  redis.call('ZREM', DECIDED .. record[2], id)
end
redis.call('HSET', key, 'decision', 'pending')
local deadline = now_ms + tonumber(ARGV[10])
redis.call('HSET', TXN .. id, 'state', 'waiting', 'round', ARGV[9], 'deadline', deadline, 'waiters', process,
  'requests', 1, 'refusal_ttl', ARGV[12], 'confirm_window', ARGV[13], 'retention', ARGV[14])
redis.call('ZADD', TXNS, deadline + tonumber(ARGV[13]), id)
create_job(id, TRANSACTIONAL, ARGV[8])
register_queue(TRANSACTIONAL)
redis.call('RPUSH', QUEUE .. TRANSACTIONAL, id)
wake_worker()
return reply('waiting', ARGV[9], tonumber(ARGV[10]), '')
