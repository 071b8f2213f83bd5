-- Read the ledger and the queues in one instant: no event moves while a script reads.
-- ARGV: the queue that always exists.  Returns: now in s, now in RQ's format, the ledger's counts of accepted, done,
-- discarded, erased and orphaned events, replays, open events, the extra jobs of fanned-out events, 1 if `rq suspend` is in
-- force, and for each queue of ours: name, waiting, running, scheduled, deferred, dead, 1 if paused, the first waiting
-- job's enqueued_at, its number of workers; and for a handler's own queue: its limits as declared, what an operator has
-- set (concurrency, rate), when its breaker opened (ms), why no job may start, and the ms until one may (-1: not known).
local counts = redis.call('HMGET', LEDGER, 'accepted', 'done', 'discarded', 'erased', 'orphaned', 'renumbered', 'replayed')
local names = redis.call('SMEMBERS', OUR_QUEUES)
if redis.call('SISMEMBER', OUR_QUEUES, ARGV[1]) == 0 then table.insert(names, ARGV[1]) end
table.sort(names)
local queues = {}

local function describe_limits(name)
  local known = redis.call('HMGET', LIMITS .. name, 'declared', 'concurrency', 'rate', 'open_since')
  local _, wait_ms, reason = may_start(read_limits(name, known[1] or ',,,0'))
  return known[1] or '', known[2] or '', known[3] or '', known[4] or '', reason, math.ceil(wait_ms)
end

for _, name in ipairs(names) do
  local head = redis.call('LINDEX', QUEUE .. name, 0)
  local workers = 0
  for _, key in ipairs(redis.call('SMEMBERS', WORKERS_OF .. name)) do workers = workers + redis.call('EXISTS', key) end
  local waiting, running = redis.call('LLEN', QUEUE .. name), redis.call('ZCARD', LEASES .. name)
  -- A transaction runs without a lease and counts until it is over.
  if name == TRANSACTIONAL then running = math.max(0, redis.call('ZCARD', TXNS) - waiting) end
  table.insert(queues, {name, waiting, running,
    redis.call('ZCARD', SCHEDULED .. name), redis.call('ZCARD', DEFERRED .. name), redis.call('ZCARD', FAILED .. name),
    redis.call('SISMEMBER', PAUSED, name), head and redis.call('HGET', JOB .. head, 'enqueued_at') or '', workers})
  if redis.call('EXISTS', LIMITS .. name) == 1 then
    for _, fact in ipairs({describe_limits(name)}) do table.insert(queues[#queues], fact) end
  end
end
local accepted = tonumber(counts[1] or 0) - tonumber(counts[6] or 0)  -- an event that runs again got another number
return {tostring(now_seconds), iso_now(), accepted, tonumber(counts[2] or 0), tonumber(counts[3] or 0),
  tonumber(counts[4] or 0), tonumber(counts[5] or 0), tonumber(counts[7] or 0), redis.call('ZCARD', OPEN),
  tonumber(redis.call('GET', EXTRA_JOBS) or 0), redis.call('EXISTS', SUSPENDED), queues}
