-- Claims: reading the record of a claimed job, ending a claim, burying a job.
--
-- A claim is `{job}:{token}` in the sorted set of leases. A script with a token that is no longer there changes nothing
-- and returns 'stale'.

-- The fields that a claim needs, in the order in which `claim_reply` and exchange.lua read them.
local function read_claim_record(job_id)
  local handler = handler_of(job_id)
  return redis.call('HMGET', EVENT .. event_of(job_id), 'type', 'closed_at', 'handlers', 'state:' .. handler,
    'spent:' .. handler, 'interrupted:' .. handler, 'tenant', 'application', 'handler', 'body', 'runs:' .. handler,
    'claim:' .. handler, 'key_id', 'committed', 'decision', 'line:' .. handler)
end

local function claim_reply(job_id, token, runs, record)
  return {job_id, token, tonumber(runs), tonumber(record[5] or 0), tonumber(record[6] or 0),
    record[1], record[7], record[8], record[9], record[10], record[13], record[14], record[15],
    record[16], record[16] and is_outdated(job_id, record[16]) or 0}
end

-- Put popped jobs back at the front of their queue, from `first` on.
local function push_back(queue, job_ids, first)
  for i = #job_ids, first, -1 do redis.call('LPUSH', QUEUE .. queue, job_ids[i]) end
end

-- The claims of an earlier exchange whose reply was lost. `prefix` is what their tokens begin with.
local function find_claims(queue, token_prefix, prefix, expires_at)
  local claims = {}
  for _, claim in ipairs(redis.call('SMEMBERS', PROCESS_CLAIMS .. token_prefix)) do
    local job_id, token = string.match(claim, '^([^:]+):(.+)$')
    if string.sub(token, 1, #prefix) == prefix and redis.call('ZSCORE', LEASES .. queue, claim) then
      local record = read_claim_record(job_id)
      redis.call('ZADD', LEASES .. queue, expires_at, claim)
      table.insert(claims, claim_reply(job_id, token, record[11] or 1, record))
    end
  end
  local function position(claim) return tonumber(string.sub(claim[2], #prefix + 1)) end
  table.sort(claims, function(one, other) return position(one) < position(other) end)
  return claims
end

-- Show a running claim to RQ's tools. `worker` is '' until the process has chosen a thread. The execution names the
-- worker; the job does not, so that RQ refuses to send it a stop command, which no worker of ours obeys.
local function show_execution(queue, job_id, claim, worker, handler_timeout)
  local now, far = iso_now(), now_seconds + FAR_FUTURE_SECONDS
  redis.call('ZADD', WIP .. queue, far, claim)
  local token = string.match(claim, ':(.+)$')
  redis.call('ZADD', EXECUTIONS .. job_id, far, token)
  redis.call('HSET', EXECUTION .. claim, 'id', token, 'job_id', job_id,
    'created_at', now_seconds, 'last_heartbeat', now_seconds, 'worker_name', worker)
  write_to_job(job_id, queue, handler_timeout, 'status', 'started', 'started_at', now, 'last_heartbeat', now,
    'ended_at', '', 'worker_name', '')
end

-- End a claim. Returns false if the claim is stale, or if its end completed a requested erasure: then the caller must
-- change nothing.
local function release(queue, job_id, token)
  local claim = job_id .. ':' .. token
  if redis.call('ZREM', LEASES .. queue, claim) == 0 then return false end
  redis.call('SREM', PROCESS_CLAIMS .. token_prefix_of(claim), claim)
  hide_execution(queue, job_id, claim)
  return not erase_if_requested(job_id)
end

-- An attempt that is written by a script: '@' in it stands for the job's handler.
local function add_attempt_of(job_id, attempt)
  local handler = handler_of(job_id)
  if handler == '' then handler = redis.call('HGET', EVENT .. event_of(job_id), 'handler') or '' end
  add_attempt(job_id, (string.gsub(attempt, '"@"', '"' .. handler .. '"')))
end

-- Make a job a dead letter: an entry in RQ's FailedJobRegistry. A replay starts with the full retry budget.
local function bury(job_id, queue, exc, worker)
  reset_counters(job_id)
  redis.call('HSET', JOB .. job_id, 'status', 'failed', 'ended_at', iso_now(), 'worker_name', worker)
  redis.call('PERSIST', JOB .. job_id)
  redis.call('ZADD', FAILED .. queue, '+inf', job_id)
  if redis.call('EXISTS', LETTER_HOOKS) == 1 then redis.call('ZADD', UNTOLD, now_ms, job_id) end
  add_result(job_id, 2, exc, worker)
  redis.call('PERSIST', RESULTS .. job_id)
  settle_dead_turn(job_id)
end

-- Read the acks of an exchange from its arguments, `first` is the first one's. Each has the key of its claim, and where
-- its own arguments begin and end.
local function read_acks(first)
  local acks, claims, at = {}, {}, first
  while at <= #ARGV do
    local last = at + 5 + tonumber(ARGV[at + 5])
    local claim = ARGV[at + 1] .. ':' .. ARGV[at + 2]
    table.insert(claims, claim)
    table.insert(acks, {kind = ARGV[at], job_id = ARGV[at + 1], worker = ARGV[at + 3], is_shown_running = ARGV[at + 4] == '1',
      claim = claim, at = at + 6, last = last})
    at = last + 1
  end
  return acks, claims
end
