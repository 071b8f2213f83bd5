-- What the scripts for transactional events share.
--
-- `txn:{event}` is one round of asking: `state` goes waiting, running, then completed, rejected, failed or abandoned,
-- and a script that carries another `round` changes nothing. A round has two ends, in either order: the *decision*,
-- which is what senders are told, and the end of the *run*, after which nobody's handlers can have an effect any more.
-- A run is one claim of one worker, and `claim` its number: whatever its worker says of it carries that too, so that a
-- packet of a connection that was given up, and comes late, is about nothing any more.
-- The key lives until both are there, and for `memory` ms longer after a no; a yes is kept on the event record.
-- `txns` holds every round that is not over, scored by when somebody has to look whether it was forgotten.

local LOOK_AGAIN_MS = 1000
local REPLIES_TTL_MS = 10000
local BELL_TTL_SECONDS = 60
local FORGOTTEN_SECONDS = 86400
local FIELDS = {'state', 'round', 'deadline', 'waiters', 'requests', 'running', 'worker', 'claim', 'undo', 'facts',
  'memory', 'window', 'retention'}

-- Wake one worker. One that dies before it has looked costs time only: the others look every second.
local function ring()
  redis.call('RPUSH', BELL, '')
  redis.call('EXPIRE', BELL, BELL_TTL_SECONDS)
end

-- The transaction of an event, or nothing.
local function load_txn(id)
  local values = redis.call('HMGET', TXN .. id, unpack(FIELDS))
  if not values[1] then return nil end
  local txn = {}
  for i, name in ipairs(FIELDS) do txn[name] = values[i] end
  for _, name in ipairs({'deadline', 'memory', 'window', 'retention'}) do txn[name] = tonumber(txn[name]) end
  txn.running = txn.running == '1'
  return txn
end

local function run_of(...) return table.concat({...}, ' ') end

-- Whether this is the claim whose handlers run.
local function is_in_force(txn, round, worker, claim)
  return txn and txn.running and txn.round == round and txn.worker == worker and txn.claim == claim
end

-- A worker runs something else by now, or nothing.
local function forget_run(worker, run)
  if redis.call('GET', TXN_RUN .. worker) == run then redis.call('DEL', TXN_RUN .. worker) end
end

-- Tell every ingest process that waits. A reply that nobody takes goes by itself.
local function wake(id, txn, state, reason)
  for process in string.gmatch(txn.waiters or '', '%S+') do
    redis.call('RPUSH', REPLIES .. process, id .. ' ' .. txn.round .. ' ' .. state .. ' ' .. reason)
    redis.call('PEXPIRE', REPLIES .. process, REPLIES_TTL_MS)
  end
end

-- A no: from here on every copy of the event gets it.
local function decide(id, txn, state, reason)
  txn.state = state
  redis.call('HSET', TXN .. id, 'state', state, 'decided_at', now_ms)
  redis.call('HSET', EVENT .. id, 'decision', state, 'decided_at', now_ms, 'reason', reason)
  local list = DECIDED .. state
  redis.call('ZREMRANGEBYSCORE', list, '-inf', now_ms - txn.retention * 1000)
  redis.call('ZADD', list, now_ms, id)
  redis.call('EXPIRE', list, txn.retention)
  wake(id, txn, state, reason)
end

local function drop_job(id)
  redis.call('ZREM', WIP .. TRANSACTIONAL, id .. ':' .. id)
  delete_job(id)
end

-- Jobs on the retrying queues: `parts` is "handler queue timeout handler queue timeout …". Without any the event closes.
-- What is to be erased tells nobody of a yes any more, but what a no has left is undone before.
local function hand_over(id, txn, parts, outcome)
  drop_job(id)
  local erasing = redis.call('HGET', EVENT .. id, 'erasing')
  if erasing and (parts == '' or outcome == 'completed') then return erase(id, erasing) end
  if erasing then redis.call('HSET', EVENT .. id, 'undo_first', 1) end
  local names = {}
  for name, queue in string.gmatch(parts, '(%S+) (%S+) %S+') do
    table.insert(names, name)
    redis.call('HSET', EVENT .. id, 'queue:' .. name, queue)
  end
  if #names == 0 then return close(id, outcome, txn.retention) end
  redis.call('HSET', EVENT .. id, 'handlers', table.concat(names, ','))
  redis.call('INCRBY', SPLIT, #names - 1)
  for name, queue, timeout in string.gmatch(parts, '(%S+) (%S+) (%S+)') do
    create_job(id .. '_' .. name, queue, timeout)
    enqueue(id .. '_' .. name, queue)
  end
end

-- A round with a no is over: those whose effect must go are told, and the no is forgotten after a while.
local function conclude(id, txn, undo, is_orphan)
  redis.call('ZREM', TXNS, id)
  if txn.running then forget_run(txn.worker, run_of(id, txn.round, txn.claim)) end
  redis.call('HSET', TXN .. id, 'running', '')
  hand_over(id, txn, undo, txn.state)
  if is_orphan then  -- also if it is erased by now: its id stays listed until a person has looked after it
    redis.call('ZADD', ORPHANS, now_ms, id)
    redis.call('HINCRBY', LEDGER, 'orphaned', 1)
    redis.call('PERSIST', EVENT .. id)
    redis.call('PERSIST', ATTEMPTS .. id)
  end
  local decided_at = tonumber(redis.call('HGET', TXN .. id, 'decided_at') or now_ms)
  redis.call('PEXPIRE', TXN .. id, math.min(decided_at, now_ms) + txn.memory - now_ms)
end

-- The outcome reached somebody who can answer: it stands, and the handlers that are told of facts get theirs.
local function confirm(id, txn)
  redis.call('HSET', EVENT .. id, 'decision', 'completed', 'decided_at', now_ms, 'confirmed', txn.round)
  redis.call('ZREM', TXNS, id)
  hand_over(id, txn, txn.facts or '', 'completed')
  redis.call('DEL', TXN .. id)
end

local function may_confirm(txn) return now_ms <= txn.deadline + txn.window end

-- Long past the deadline, and its process beats no more: a handler that still ran would have been stopped by now.
local function is_dead(id, txn, after_ms)
  return now_ms > txn.deadline + after_ms
    and redis.call('EXISTS', ALIVE .. 'worker:' .. (redis.call('HGET', TXN .. id, 'process') or '')) == 0
end

-- Nobody will confirm this success any more.
local function orphan(id, txn)
  decide(id, txn, 'abandoned', '')
  conclude(id, txn, txn.undo or '', true)
end

-- What is known of a round that is over and forgotten. A yes is never forgotten before its event.
local function remembered(id)
  local record = redis.call('HMGET', EVENT .. id, 'decision', 'reason')
  if not record[1] or record[1] == 'pending' then return {'abandoned', ''} end
  return {record[1], record[2] or ''}
end

-- Nothing is left of a job, nor of what it spent.
local function forget_job(job_id, known_queue)
  local queue = redis.call('HGET', JOB .. job_id, 'origin') or known_queue or 'events'
  redis.call('ZREM', FINISHED .. queue, job_id)
  delete_job(job_id)
  reset_counters(job_id)
end

-- A closed event is open again, as if nobody had looked at it yet: whoever runs for it has the full budget.
local function reopen(id)
  local key = EVENT .. id
  local record = redis.call('HMGET', key, 'handlers', 'outcome', 'received_at')
  for name in string.gmatch(record[1] or '', '[^,]+') do
    forget_job(id .. '_' .. name, redis.call('HGET', key, 'queue:' .. name))
    redis.call('HDEL', key, 'state:' .. name, 'queue:' .. name)
  end
  forget_job(id)
  redis.call('HDEL', key, 'handlers', 'handler', 'closed_at', 'outcome', 'given_up')
  redis.call('PERSIST', key)
  redis.call('PERSIST', ATTEMPTS .. id)
  if redis.call('ZADD', OPEN, record[3], id) == 1 then
    redis.call('HINCRBY', LEDGER, record[2] == 'discarded' and 'discarded' or 'done', -1)
  end
end
