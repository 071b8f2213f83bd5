-- Limits: how many jobs of a handler's own queue may start now. Nothing is counted up and down: leases in force are the
-- runs in progress, so a crash cannot leave a wrong count.
--
-- `limits` is the packed text of shared/limits.py. The hash LIMITS has what an operator has set (`concurrency`, `rate`,
-- `interval_ms`; 'off' lifts that limit) and the state: `next_at` (when the next run may start under the rate: GCRA
-- without a burst), `closed_until` (a handler asked to wait), and the breaker's: `failures` (in a row), `open_since`,
-- `probe` (the claim that was let through last), `probe_at` (when the next one is), `probe_delay`, and `runs:0` to
-- `runs:11` (`slot:good:bad`, five seconds each). The list RECENT_FAILURES has what opening takes back.

-- Times are in ms, because a rate of 300/s has a start every 3.3 ms.
local function read_limits(queue, limits)  -- rare
  local concurrency, _, interval, breaker = string.match(limits, '^(.-),(.-),(.-),(.*)$')
  local known = redis.call('HMGET', LIMITS .. queue, 'concurrency', 'interval_ms', 'next_at', 'closed_until',
    'open_since', 'probe', 'probe_at', 'probe_delay', 'failures')
  return {queue = queue, now = 1000 * now_seconds, concurrency = tonumber(known[1] or concurrency),
    interval = tonumber(known[2] or interval), next_at = tonumber(known[3] or 0), closed_until = tonumber(known[4] or 0),
    has_breaker = breaker == '1', is_open = breaker == '1' and known[5] ~= false, probe = known[6],
    probe_at = tonumber(known[7] or 0), probe_delay = tonumber(known[8] or 0), failures = tonumber(known[9] or 0)}
end

-- Returns how many jobs may start now; if none, the ms until that changes (-1: when a run ends) and the reason.
local function may_start(limits)  -- rare
  if limits.closed_until > limits.now then return 0, limits.closed_until - limits.now, 'closed' end
  if limits.is_open then
    if limits.probe and redis.call('ZSCORE', LEASES .. limits.queue, limits.probe) then return 0, -1, 'breaker' end
    if limits.probe_at > limits.now then return 0, limits.probe_at - limits.now, 'breaker' end
  end
  local most = math.huge
  if limits.concurrency then
    most = limits.concurrency - redis.call('ZCARD', LEASES .. limits.queue)
    if most <= 0 then return 0, -1, 'concurrency' end
  end
  if limits.interval then
    if limits.next_at > limits.now then return 0, limits.next_at - limits.now, 'rate' end
    most = 1
  end
  return limits.is_open and 1 or most, 0, ''
end

-- Record that these claims start now. Returns the ms until the next job may start; -1 if no job waits, or if that is
-- not known.
local function count_starts(limits, claims)  -- rare
  if #claims > 0 and limits.interval then
    limits.next_at = limits.now + limits.interval
    redis.call('HSET', LIMITS .. limits.queue, 'next_at', string.format('%.3f', limits.next_at))
  end
  if #claims > 0 and limits.is_open then
    limits.probe, limits.probe_at = claims[1][1] .. ':' .. claims[1][2], limits.now + limits.probe_delay
    redis.call('HSET', LIMITS .. limits.queue, 'probe', limits.probe, 'probe_at', string.format('%.3f', limits.probe_at))
  end
  if redis.call('LLEN', QUEUE .. limits.queue) == 0 then return -1 end
  return math.ceil((select(2, may_start(limits))))
end

-- Let no job of the queue start for some time, because what a handler called asked for that.
local function close_tap(limits, delay_ms)  -- rare
  limits.closed_until = math.max(limits.closed_until, limits.now + delay_ms)
  redis.call('HSET', LIMITS .. limits.queue, 'closed_until', string.format('%.0f', limits.closed_until))
end

-- Put a job that is not claimed on another queue. The event's own job becomes its handler's, with the same counts.
local function move_job(job_id, handler, queue, timeout)  -- rare
  local key, counted = EVENT .. event_of(job_id), {'runs:', 'spent:', 'interrupted:'}
  if handler_of(job_id) == '' then
    redis.call('HSET', key, 'handlers', handler)
    for _, name in ipairs(counted) do
      local count = redis.call('HGET', key, name)
      if count then redis.call('HSET', key, name .. handler, count) end
    end
    reset_counters(job_id)
    delete_job(job_id)
    job_id = job_id .. '_' .. handler
  end
  redis.call('HSET', key, 'queue:' .. handler, queue)
  reset_run_fields(job_id, queue, timeout)
  enqueue(job_id, queue)
end

-- Give back what a failure before the breaker opened has cost: the retry, or the burial. The job runs again soon.
local function take_back_failure(queue, kind, job_id, timeout)  -- rare
  local key, handler = EVENT .. event_of(job_id), handler_of(job_id)
  local known = redis.call('HMGET', key, 'type', 'closed_at', 'state:' .. handler, 'spent:' .. handler)
  if not known[1] or known[2] or known[3] then return end
  if tonumber(known[4] or 0) > 0 then redis.call('HINCRBY', key, 'spent:' .. handler, -1) end
  if (kind == 'bury' and redis.call('ZREM', FAILED .. queue, job_id) == 1)
    or redis.call('ZREM', SCHEDULED .. queue, job_id) == 1 then
    redis.call('ZREM', UNTOLD, job_id)  -- it is no dead letter
    ensure_job(job_id, queue, timeout)
    enqueue(job_id, queue)
  end
end

-- The breaker of a queue, for the results in one exchange. `judge` is told of each, in order, and `save` writes.
local function open_breaker(limits, timeout)  -- rare
  local ROW, RUNS, SHARE, MINUTE, SLOTS, SLOT = 20, 10, 0.7, 60000, 12, 5000
  local FIRST_PROBE, LONGEST_PROBE, MOST_TAKEN_BACK = 5000, 300000, 1000
  local key, recent = LIMITS .. limits.queue, RECENT_FAILURES .. limits.queue
  local slot = math.floor(limits.now / SLOT)
  local runs  -- the numbers of good and bad ones in the last minute, and in this slot

  local function read_runs()
    local names = {}
    for i = 0, SLOTS - 1 do names[i + 1] = 'runs:' .. i end
    runs = {good = 0, bad = 0, good_now = 0, bad_now = 0}
    for _, text in ipairs(redis.call('HMGET', key, unpack(names))) do
      local at, good, bad = string.match(text or '', '^(%d+):(%d+):(%d+)$')
      if at and tonumber(at) > slot - SLOTS then
        runs.good, runs.bad = runs.good + good, runs.bad + bad
        if tonumber(at) == slot then runs.good_now, runs.bad_now = tonumber(good), tonumber(bad) end
      end
    end
  end

  local function forget_runs(...)
    redis.call('HDEL', key, 'failures', 'probe', 'runs:0', 'runs:1', 'runs:2', 'runs:3', 'runs:4', 'runs:5', 'runs:6',
      'runs:7', 'runs:8', 'runs:9', 'runs:10', 'runs:11', ...)
    redis.call('DEL', recent)
    limits.failures, limits.probe, runs = 0, false, nil
  end

  local function open()
    local failed = redis.call('LRANGE', recent, 0, -1)
    for i, text in ipairs(failed) do
      local at, kind, job_id = string.match(text, '^(%d+) (%a+) (.+)$')
      local is_in_row = i > #failed - limits.failures
      if is_in_row or limits.now - at <= MINUTE then take_back_failure(limits.queue, kind, job_id, timeout) end
    end
    forget_runs()
    limits.is_open, limits.probe_delay, limits.probe_at = true, FIRST_PROBE, limits.now + FIRST_PROBE
    redis.call('HSET', key, 'open_since', now_ms, 'probe_delay', FIRST_PROBE, 'probe_at', limits.probe_at)
  end

  local function count(is_good)
    if not runs then read_runs() end
    local name = is_good and 'good' or 'bad'
    runs[name], runs[name .. '_now'] = runs[name] + 1, runs[name .. '_now'] + 1
    limits.failures = is_good and 0 or limits.failures + 1
  end

  local function succeed(is_probe)
    if not limits.is_open then
      if limits.failures > 0 then  -- older failures no longer count
        local first = redis.call('LINDEX', recent, 0)
        while first and limits.now - string.match(first, '^%d+') > MINUTE do
          redis.call('LPOP', recent)
          first = redis.call('LINDEX', recent, 0)
        end
      end
      count(true)
    elseif is_probe then
      forget_runs('open_since', 'probe_at', 'probe_delay')
      limits.is_open = false
      return 'c'
    end
    return 'd'
  end

  local function fail(ack, is_probe)
    if limits.is_open then
      if is_probe then
        limits.probe_delay = math.min(2 * limits.probe_delay, LONGEST_PROBE)
        limits.probe_at = limits.now + limits.probe_delay
        redis.call('HSET', key, 'probe_delay', limits.probe_delay, 'probe_at', string.format('%.3f', limits.probe_at))
      end
      return 'k'
    end
    count(false)
    local total = runs.good + runs.bad
    if limits.failures >= ROW or (total >= RUNS and runs.bad >= SHARE * total) then
      open()
      return 'o'
    end
    if redis.call('RPUSH', recent, now_ms .. ' ' .. ack.kind .. ' ' .. ack.job_id) > MOST_TAKEN_BACK then
      redis.call('LPOP', recent)
    end
    return 'd'
  end

  -- Returns the letter of the ack's result: d nothing special, k the failure costs nothing since the breaker is open, o as
  -- k, it has opened now, c it has closed.
  local function judge(ack, verdict)
    if ack.kind ~= 'finish' and ack.kind ~= 'retry' and ack.kind ~= 'bury' then return 'd' end
    if tonumber(verdict) then close_tap(limits, tonumber(verdict)) end
    if verdict == 'good' and limits.has_breaker then return succeed(limits.probe == ack.claim) end
    if verdict == 'bad' and limits.has_breaker then return fail(ack, limits.probe == ack.claim) end
    return 'd'
  end

  local function save()
    if not runs then return end
    redis.call('HSET', key, 'failures', limits.failures, 'runs:' .. slot % SLOTS,
      slot .. ':' .. runs.good_now .. ':' .. runs.bad_now)
  end

  return judge, save
end
