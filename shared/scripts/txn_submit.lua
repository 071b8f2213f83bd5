-- Submit transactional events to their handlers, or join the requests that wait for them, or return their decisions.
-- ARGV: eight for all events: handler timeout, the ingest process, ms a refusal is remembered, ms after the deadline in
-- which an outcome may be confirmed, retention in s, ms after its last heartbeat for which a worker counts as alive,
-- source, limit of waiting events ('': unlimited). Then nine for each event: id, type, tenant, user, application, body,
-- the fingerprint of the key the body is encrypted with ('': it is plain), round, ms left until the deadline.
-- Returns for each event {state, round, ms left, reason, the type of the stored event if it is another event with the
-- same id}; state is waiting, completed, rejected, failed, abandoned, unconfirmed (a success that waits to be
-- confirmed), duplicate (an event that never was a transaction), paused (an operator paused the queue), no_worker (no
-- worker is available) or backlog (the limit of waiting events is reached). Where an event's own keys cause an error,
-- 'refused ' and its code; the other events are submitted.
local SHARED, ARGUMENTS = 8, 9
local timeout, process, refusal_ttl, confirm_ms, retention, alive_ms = unpack(ARGV, 1, 6)
local source, limit = ARGV[7], tonumber(ARGV[8])
local count = (#ARGV - SHARED) / ARGUMENTS
local opened, submitted, checks, room = {}, {}, {}, nil

-- Why no transaction can begin now; nil if one can.
local function unavailable()
  if redis.call('EXISTS', SUSPENDED) == 1 or redis.call('SISMEMBER', PAUSED, TRANSACTIONAL) == 1 then return 'paused' end
  if redis.call('ZCOUNT', ALIVE .. 'queue:' .. TRANSACTIONAL, '(' .. now_ms - alive_ms, '+inf') == 0 then
    return 'no_worker'
  end
end

-- Join the requests that wait for an undecided or unconfirmed transaction.
local function join(id, txn, known_type)
  local is_undecided = txn.state ~= 'completed'
  if is_undecided and now_ms > txn.deadline then
    if not txn.running then redis.call('LREM', QUEUE .. TRANSACTIONAL, 1, id) end
    expire(id, txn)
    return {'abandoned', txn.round, 0, '', known_type}
  end
  if not is_undecided and not is_confirmable(txn) then
    make_orphan(id, txn)
    return {'abandoned', txn.round, 0, '', known_type}
  end
  if not string.find(' ' .. (txn.waiters or '') .. ' ', ' ' .. process .. ' ', 1, true) then
    redis.call('HSET', TXN .. id, 'waiters', txn.waiters .. ' ' .. process)
  end
  redis.call('HINCRBY', TXN .. id, 'requests', 1)
  local state = is_undecided and 'waiting' or 'unconfirmed'
  return {state, txn.round, math.max(0, txn.deadline - now_ms), '', known_type}
end

local function submit(at)
  local id, event_type, body, key_id, round = ARGV[at], ARGV[at + 1], ARGV[at + 5], ARGV[at + 6], ARGV[at + 7]
  local key = EVENT .. id
  local txn = load_txn(id)
  local record = redis.call('HMGET', key, 'type', 'decision', 'reason', 'closed_at', 'body', 'committed', 'key_id')
  local known_type = other_type(record[1], record[5], record[7], event_type, body, key_id) or ''
  if txn and (txn.state == 'waiting' or txn.state == 'running' or txn.state == 'completed') then
    return join(id, txn, known_type)
  end
  if txn then return {txn.state, txn.round, 0, record[3] or '', known_type} end
  if record[1] or record[4] then
    if not record[2] then return {'duplicate', '', 0, '', known_type} end
    -- A refusal is final while its effects are being undone, once the event is erased, and once a person has said that
    -- FusionAuth committed its transaction.
    local is_final = record[2] ~= 'pending' and (not record[4] or not record[1] or record[6])
    if record[2] == 'completed' or is_final then return {record[2], '', 0, record[3] or '', known_type} end
  elseif is_known_id(id, pack_id(id)) then
    return {'duplicate', '', 0, '', known_type}
  end
  checks[1] = checks[1] or unavailable() or 'available'
  if checks[1] ~= 'available' then return {checks[1], '', 0, '', known_type} end
  room = room or (limit and backlog_room(limit, count) or count)
  if room < 1 then return {'backlog', '', 0, '', known_type} end

  if not record[1] then
    redis.call('HSET', key, 'type', event_type, 'tenant', ARGV[at + 2], 'user', ARGV[at + 3],
      'application', ARGV[at + 4], 'source', source, 'body', body, 'received_at', now_ms, 'decision', 'pending')
    if key_id ~= '' then redis.call('HSET', key, 'key_id', key_id) end
    table.insert(opened, id)
  else
    reopen(id)
    if not record[5] then  -- it has expired
      redis.call('HSET', key, 'body', body)
      if key_id ~= '' then redis.call('HSET', key, 'key_id', key_id) end
    end
    redis.call('ZREM', DECIDED .. record[2], id)
    redis.call('HSET', key, 'decision', 'pending')
  end
  local ms_left = tonumber(ARGV[at + 8])
  redis.call('HSET', TXN .. id, 'state', 'waiting', 'round', round, 'deadline', now_ms + ms_left, 'waiters', process,
    'requests', 1, 'refusal_ttl', refusal_ttl, 'confirm_window', confirm_ms, 'retention', retention)
  redis.call('ZADD', TXNS, now_ms + ms_left + tonumber(confirm_ms), id)
  write_job(id, TRANSACTIONAL, timeout, record[1] or event_type, iso_now())
  room = room - 1
  table.insert(submitted, id)
  return {'waiting', round, ms_left, '', known_type}
end

local replies = {}
for n = 1, count do
  local is_done, reply = pcall(submit, SHARED + 1 + (n - 1) * ARGUMENTS)
  replies[n] = is_done and reply or refusal_of(reply)
end
if #opened > 0 then
  -- The open set has each event's number in the order of acceptance: how many were accepted, with this one.
  local numbered, number = {}, redis.call('HINCRBY', LEDGER, 'accepted', #opened) - #opened
  for n, id in ipairs(opened) do
    table.insert(numbered, number + n)
    table.insert(numbered, id)
  end
  redis.call('ZADD', OPEN, unpack(numbered))
end
if #submitted > 0 then
  register_queue(TRANSACTIONAL)
  redis.call('RPUSH', QUEUE .. TRANSACTIONAL, unpack(submitted))
  wake_workers(#submitted)
end
return replies
