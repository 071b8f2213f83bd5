-- Transactional events, whose senders wait for the handlers' outcome.
--
-- `txn:{event}` is one round of handling a transactional event. Its `state` goes from waiting to running, then to
-- completed, rejected, failed or abandoned. A script with another `round` changes nothing. A round ends twice, in
-- either order: with the *decision*, which the senders get, and with the end of the *run*, after which its handlers can
-- have no more effects. A run is one claim of one worker, numbered by `claim`; every later message of the worker
-- carries that number, so that a late packet of an abandoned connection is ignored. The key lives until both have
-- happened, and after a refusal for `refusal_ttl` ms more. A success is kept on the event record. `txns` holds every
-- round that is not over, scored by the time when it must be checked for neglect.

local RECHECK_MS = 1000
local REPLIES_TTL_MS = 10000
local WAKE_UP_TTL_SECONDS = 60
local DEFAULT_RETENTION_SECONDS = 86400
-- Fields that were deleted by hand, or that another version did not write: the transaction ends as that of a dead
-- process does.
local DEFAULTS = {state = 'running', round = '', deadline = '0', waiters = '', requests = '1', worker = '', claim = '',
  refusal_ttl = '60000', confirm_window = '0', retention = '86400'}
local FIELDS = {'state', 'round', 'deadline', 'waiters', 'requests', 'running', 'worker', 'claim', 'undo_jobs',
  'commit_jobs', 'facts', 'refusal_ttl', 'confirm_window', 'retention'}

-- Wake workers. A wake-up lost with a dying worker costs only time, because every process checks each second.
local function wake_workers(count)
  local entries = {}
  for n = 1, count do entries[n] = '' end
  redis.call('RPUSH', WAKE_UP, unpack(entries))
  redis.call('EXPIRE', WAKE_UP, WAKE_UP_TTL_SECONDS)
end

-- A script with many events returns this for one that an error ended: 'refused ' and the error's code.
local function refusal_of(err)  -- rare
  local text = type(err) == 'table' and err.err or tostring(err)
  return 'refused ' .. (string.match(text, '^-?(%u+)') or 'ERR')
end

-- Read the transaction of an event. Returns nil if there is none.
local function load_txn(id)
  local values = redis.call('HMGET', TXN .. id, unpack(FIELDS))
  local txn, is_there = {}, false
  for i, name in ipairs(FIELDS) do
    is_there, txn[name] = is_there or values[i], values[i] or DEFAULTS[name]
  end
  if not is_there then return nil end
  for _, name in ipairs({'deadline', 'refusal_ttl', 'confirm_window', 'retention'}) do
    txn[name] = tonumber(txn[name]) or tonumber(DEFAULTS[name])
  end
  txn.running = (txn.running or (txn.state == 'running' and '1')) == '1'
  return txn
end

local function run_of(...) return table.concat({...}, ' ') end

-- Check that this claim is the one whose handlers run.
local function is_current_run(txn, round, worker, claim)
  return txn and txn.running and txn.round == round and txn.worker == worker and txn.claim == claim
end

-- Remove a worker's entry for a run, unless it has started another one.
local function forget_run(worker, run)
  local held = redis.call('GETDEL', TXN_RUN .. worker)
  if held and held ~= run then redis.call('SET', TXN_RUN .. worker, held) end
end

-- Send replies to ingest processes. Unread ones expire together; a request then asks for its outcome at its deadline.
local function send_replies(replies)
  for process, lines in pairs(replies) do
    local unread = redis.call('RPUSH', REPLIES .. process, unpack(lines))
    if unread == #lines then redis.call('PEXPIRE', REPLIES .. process, REPLIES_TTL_MS) end
  end
end

-- Reply to every waiting ingest process. If `txn.collected` is given, the caller sends those of many events together.
local function notify_waiters(id, txn, state, reason)
  local replies = txn.collected and txn.collected.replies or {}
  for process in string.gmatch(txn.waiters or '', '%S+') do
    replies[process] = replies[process] or {}
    table.insert(replies[process], id .. ' ' .. txn.round .. ' ' .. state .. ' ' .. reason)
  end
  if not txn.collected then send_replies(replies) end
end

-- List events by their decision. Each list: retention in s, then an instant and an event for each.
local function list_decided(decided)
  for state, list in pairs(decided) do
    local key, retention = DECIDED .. state, table.remove(list, 1)
    redis.call('ZREMRANGEBYSCORE', key, '-inf', now_ms - retention * 1000)
    redis.call('ZADD', key, unpack(list))
    redis.call('EXPIRE', key, retention)
  end
end

-- Record a refusal. From now on every copy of the event gets it. `reported_run` is given by the end of the run.
local function decide(id, txn, state, reason, reported_run)
  txn.state, txn.decided_at = state, now_ms
  redis.call('HSET', TXN .. id, 'state', state, 'decided_at', now_ms, 'running', txn.running and '1' or '',
    unpack(reported_run and {'reported_run', reported_run} or {}))
  redis.call('HSET', EVENT .. id, 'decision', state, 'decided_at', now_ms, 'reason', reason)
  local decided = txn.collected and txn.collected.decided or {}
  decided[state] = decided[state] or {txn.retention}
  for _, value in ipairs({now_ms, id}) do table.insert(decided[state], value) end
  if not txn.collected then list_decided(decided) end
  notify_waiters(id, txn, state, reason)
end

-- A run that is presumed dead may still have effects: its process may only be suspended. The event's record keeps these
-- runs in `given_up`, through later rounds, until their end is certain or FusionAuth has got a success.
local function mark_given_up(id, run)  -- rare
  local known = redis.call('HGET', EVENT .. id, 'given_up')
  redis.call('HSET', EVENT .. id, 'given_up', known and known .. ';' .. run or run)
end

-- Forget a run that was given up. Returns false if it was not.
local function end_given_up(id, run)  -- rare
  local others, is_known = {}, false
  for each in string.gmatch(redis.call('HGET', EVENT .. id, 'given_up') or '', '[^;]+') do
    if each == run then is_known = true else table.insert(others, each) end
  end
  if #others > 0 then redis.call('HSET', EVENT .. id, 'given_up', table.concat(others, ';'))
  elseif is_known then redis.call('HDEL', EVENT .. id, 'given_up') end
  return is_known
end

-- Join two lists of jobs ("handler queue timeout …"). A handler that is in both appears once.
local function join_jobs(first, second)  -- rare
  local names, jobs = {}, {}
  for name, rest in string.gmatch(first .. ' ' .. second, '(%S+) (%S+ %S+)') do
    if not names[name] then table.insert(jobs, name .. ' ' .. rest) end
    names[name] = true
  end
  return table.concat(jobs, ' ')
end

local function drop_job(id)
  redis.call('ZREM', WIP .. TRANSACTIONAL, id .. ':' .. id)
  delete_job(id)
end

-- Create the jobs that follow a round, on the retrying queues. `jobs` is "handler queue timeout handler queue timeout
-- …"; if it is empty, the event closes. An event that waits to be erased skips the jobs after a success, but has the
-- effects of a refused round undone first. `erasing` is the field of the event's record.
local function queue_follow_ups(id, txn, jobs, outcome, erasing)
  drop_job(id)
  if erasing and (jobs == '' or outcome == 'completed') then return erase(id, erasing) end
  if erasing then redis.call('HSET', EVENT .. id, 'undo_first', 1) end
  local queue, timeout = string.match(jobs, '^%* (%S+) (%S+)$')
  if queue then  -- a handler has an order, so a worker chooses all of them, in the order of the confirmations
    renumber(id)
    create_job(id, queue, timeout)
    return enqueue(id, queue)
  end
  local names = {}
  for name, queue in string.gmatch(jobs, '(%S+) (%S+) %S+') do
    table.insert(names, name)
    redis.call('HSET', EVENT .. id, 'queue:' .. name, queue)
  end
  if #names == 0 then
    return close(id, outcome, txn.retention, txn.collected and txn.collected.closed, nil, txn.facts)
  end
  redis.call('HSET', EVENT .. id, 'handlers', table.concat(names, ','))
  redis.call('INCRBY', EXTRA_JOBS, #names - 1)
  for name, queue, timeout in string.gmatch(jobs, '(%S+) (%S+) (%S+)') do
    create_job(id .. '_' .. name, queue, timeout)
    enqueue(id .. '_' .. name, queue)
  end
end

-- End a refused round: queue the undo jobs, and let the refusal expire.
local function finish_round(id, txn, undo, is_orphan)
  redis.call('ZREM', TXNS, id)
  if txn.running then
    forget_run(txn.worker, run_of(id, txn.round, txn.claim))
    redis.call('HSET', TXN .. id, 'running', '')
  end
  -- Runs of earlier rounds that ended during this one: see `undo_again`.
  local record = redis.call('HMGET', EVENT .. id, 'erasing', 'late_undo')
  if record[2] then
    redis.call('HDEL', EVENT .. id, 'late_undo')
    undo = join_jobs(undo, record[2])
  end
  queue_follow_ups(id, txn, undo, txn.state, record[1])
  if is_orphan then  -- also if it has just been erased: its id stays listed until a person resolves it
    redis.call('ZADD', ORPHANS, now_ms, id)
    redis.call('HINCRBY', LEDGER, 'orphaned', 1)
    redis.call('PERSIST', EVENT .. id)
    redis.call('PERSIST', ATTEMPTS .. id)
  end
  local decided_at = txn.decided_at or tonumber(redis.call('HGET', TXN .. id, 'decided_at') or now_ms)
  redis.call('PEXPIRE', TXN .. id, math.min(decided_at, now_ms) + txn.refusal_ttl - now_ms)
end

-- Make a success final, because a process that can respond has it, and queue the handlers that run after the commit.
local function confirm(id, txn)
  redis.call('HSET', EVENT .. id, 'decision', 'completed', 'decided_at', now_ms, 'confirmed', txn.round)
  local record = redis.call('HMGET', EVENT .. id, 'erasing', 'given_up', 'late_undo')
  -- An effect agrees with the answer from now on.
  if record[2] or record[3] then redis.call('HDEL', EVENT .. id, 'given_up', 'late_undo') end
  redis.call('ZREM', TXNS, id)
  queue_follow_ups(id, txn, txn.commit_jobs or '', 'completed', record[1])
  redis.call('DEL', TXN .. id)
end

local function is_confirmable(txn) return now_ms <= txn.deadline + txn.confirm_window end

-- Check that a run is long past its deadline and its process sends no heartbeat. A live process would have stopped it.
local function is_run_dead(id, txn, after_ms)  -- rare
  return now_ms > txn.deadline + after_ms
    and redis.call('EXISTS', ALIVE .. 'worker:' .. (redis.call('HGET', TXN .. id, 'process') or '')) == 0
end

-- Abandon a success that was not confirmed in time.
local function make_orphan(id, txn)  -- rare
  decide(id, txn, 'abandoned', '')
  finish_round(id, txn, txn.undo_jobs or '', true)
end

-- Abandon a transaction at its deadline. If its handlers have not started, its round is over.
local function expire(id, txn)  -- rare
  decide(id, txn, 'abandoned', '')
  if not txn.running then finish_round(id, txn, '', false) end
end

-- End a round whose claim has started no handler, and may start none any more.
local function end_unstarted(id, txn)  -- rare
  if txn.state == 'running' then decide(id, txn, 'abandoned', '') end
  finish_round(id, txn, '', false)
end

-- The decision of a round whose key has expired. A success is kept as long as its event.
local function recorded_decision(id)  -- rare
  local record = redis.call('HMGET', EVENT .. id, 'decision', 'reason')
  if not record[1] or record[1] == 'pending' then return {'abandoned', ''} end
  return {record[1], record[2] or ''}
end

-- Call a function for a transaction. If it fails, because a key has another type than it must have, the transaction is
-- set aside: it is listed as an orphan, once, and the others go on.
-- Returns what the function returned, or 1 if the transaction was set aside.
local function guarded(id, act)  -- rare
  local is_done, result = pcall(act)
  if is_done then return result end
  redis.call('ZREM', TXNS, id)
  redis.call('DEL', TXN .. id)
  if redis.call('ZADD', ORPHANS, 'NX', now_ms, id) == 1 then redis.call('HINCRBY', LEDGER, 'orphaned', 1) end
  pcall(function()
    redis.call('HSET', EVENT .. id, 'decision', 'abandoned', 'decided_at', now_ms)
    local erasing = redis.call('HGET', EVENT .. id, 'erasing')
    queue_follow_ups(id, {retention = DEFAULT_RETENTION_SECONDS}, '', 'abandoned', erasing)
  end)
  return 1
end
