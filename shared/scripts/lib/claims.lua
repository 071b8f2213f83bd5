-- Claims: reading the record of a claimed job, ending a claim, burying a job.
--
-- A claim is `{job}:{token}` in the sorted set of leases. A script with a token that is no longer there changes nothing
-- and returns 'stale'.

-- The fields that a claim needs, in the order in which `claim_reply` and exchange.lua read them.
local function read_claim_record(job_id)
  local handler = handler_of(job_id)
  return redis.call('HMGET', EVENT .. event_of(job_id), 'type', 'closed_at', 'handlers', 'state:' .. handler,
    'spent:' .. handler, 'interrupted:' .. handler, 'tenant', 'application', 'handler', 'body', 'runs:' .. handler,
    'claim:' .. handler, 'key_id', 'committed', 'decision', 'line:' .. handler, 'user', 'received_at', 'replays')
end

local function claim_reply(job_id, token, runs, record)
  return {job_id, token, tonumber(runs), tonumber(record[5] or 0), tonumber(record[6] or 0),
    record[1], record[7], record[8], record[9], record[10], record[13], record[14], record[15],
    record[16], record[16] and order('is_outdated', job_id, record[16]) or 0, record[17], record[18], record[19]}
end

-- Put popped jobs back at the front of their queue, from `first` on.
local function push_back(queue, job_ids, first)  -- rare
  for i = #job_ids, first, -1 do redis.call('LPUSH', QUEUE .. queue, job_ids[i]) end
end

-- The claims of an earlier exchange whose reply was lost. `prefix` is what their tokens begin with.
local function find_claims(queue, token_prefix, prefix, expires_at)  -- rare
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

-- Write what RQ's tools show of a running claim, except its entry in `rq:wip`. `worker` is '' until the process has
-- chosen a thread. The execution names the worker; the job does not, so that RQ refuses to send it a stop command, which
-- no worker of ours obeys.
local function write_execution(queue, job_id, claim, worker, handler_timeout)
  local now, far = iso_now(), now_seconds + FAR_FUTURE_SECONDS
  local token = string.match(claim, ':(.+)$')
  redis.call('ZADD', EXECUTIONS .. job_id, far, token)
  redis.call('HSET', EXECUTION .. claim, 'id', token, 'job_id', job_id,
    'created_at', now_seconds, 'last_heartbeat', now_seconds, 'worker_name', worker)
  write_to_job(job_id, queue, handler_timeout, 'status', 'started', 'started_at', now, 'last_heartbeat', now,
    'ended_at', '', 'worker_name', '')
end

local function show_execution(queue, job_id, claim, worker, handler_timeout)  -- rare
  redis.call('ZADD', WIP .. queue, now_seconds + FAR_FUTURE_SECONDS, claim)
  write_execution(queue, job_id, claim, worker, handler_timeout)
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
-- `failure`: see `join_group`.
local function bury(job_id, queue, exc, worker, failure)  -- rare
  reset_counters(job_id)
  redis.call('HSET', JOB .. job_id, 'status', 'failed', 'ended_at', iso_now(), 'worker_name', worker)
  redis.call('PERSIST', JOB .. job_id)
  redis.call('ZADD', FAILED .. queue, join_group(job_id, failure), job_id)
  if redis.call('EXISTS', LETTER_HOOKS) == 1 then redis.call('ZADD', UNTOLD, now_ms, job_id) end
  add_result(job_id, 2, exc, worker)
  redis.call('PERSIST', RESULTS .. job_id)
  local place = place_of(job_id)
  if place then order('settle_dead', job_id, place) end
end

-- Read the acks of an exchange from its arguments, `first` is the first one's. Each has the key of its claim, and where
-- its own arguments begin and end.
local function read_acks(first)
  local acks, claims, at = {}, {}, first
  while at <= #ARGV do
    local last = at + 5 + tonumber(ARGV[at + 5])
    local claim = ARGV[at + 1] .. ':' .. ARGV[at + 2]
    table.insert(claims, claim)
    table.insert(acks, {kind = ARGV[at], job_id = ARGV[at + 1], worker = ARGV[at + 3], shown = ARGV[at + 4],
      claim = claim, at = at + 6, last = last})
    at = last + 1
  end
  return acks, claims
end

-- Pop jobs of a queue until enough are claimed, and drop those that have no reason to run. A job that was interrupted
-- runs alone. `request`: queue, prefix of the tokens, token prefix of the process, lease in ms, handler timeout, wanted,
-- how many of them start immediately, patterns of the types of handlers with an order. Returns the claims, and the ids
-- of the jobs that it put aside because they have no event record.
local function claim_jobs(request)
  local queue, wanted, timeout = request.queue, request.wanted, request.timeout
  local claims, seen = {}, {}
  local leases, new_claims, shown = {}, {}, {}  -- written together
  local without_record = {}

  local function start_lease(job_id, token, starts, runs)
    local claim, handler = job_id .. ':' .. token, handler_of(job_id)
    table.insert(leases, now_ms + request.lease_ms)
    table.insert(leases, claim)
    table.insert(new_claims, claim)
    redis.call('HSET', EVENT .. event_of(job_id), 'runs:' .. handler, runs, 'claim:' .. handler, token)
    if not starts then return end
    table.insert(shown, now_seconds + FAR_FUTURE_SECONDS)
    table.insert(shown, claim)
    write_execution(queue, job_id, claim, '', timeout)
  end

  -- Claim one job of those popped. Returns nothing if there is no reason to run it.
  local function claim_job(job_id, token, starts, record, have_jobs)
    local has_job = have_jobs or redis.call('EXISTS', JOB .. job_id) == 1
    if not record[1] and has_job then
      table.insert(without_record, job_id)
      return set_aside(job_id, queue)
    end
    if not record[1] or record[2] or record[4] or (handler_of(job_id) == '' and record[3]) then
      return delete_job(job_id)  -- closed, or replaced by one job per handler: a useless copy
    end
    if record[12] and redis.call('ZSCORE', LEASES .. queue, job_id .. ':' .. record[12]) then return end
    if not has_job then create_job(job_id, queue, timeout) end
    local has_order = record[16] or request.ordered_types ~= ''
    if has_order and not order('admit', job_id, queue, record[16], record[1], record[9], request.ordered_types) then return end
    local runs = tonumber(record[11] or 0) + 1
    start_lease(job_id, token, starts, runs)
    return claim_reply(job_id, token, runs, record)
  end

  -- Claim popped jobs in their order. Returns true if no more may be claimed in this exchange.
  local function claim_popped(job_ids)
    local job_keys = {}
    for i, job_id in ipairs(job_ids) do job_keys[i] = JOB .. job_id end
    local have_jobs = redis.call('EXISTS', unpack(job_keys)) == #job_ids
    for i, job_id in ipairs(job_ids) do
      local record = read_claim_record(job_id)
      local runs_alone = tonumber(record[6] or 0) > 0
      if runs_alone and #claims > 0 then
        push_back(queue, job_ids, i)  -- it comes with the next exchange
        return true
      end
      local claim = not seen[job_id] and claim_job(job_id, request.prefix .. (#claims + 1), #claims < request.starting,
        record, have_jobs)
      seen[job_id] = true
      if claim then
        table.insert(claims, claim)
        if runs_alone then
          push_back(queue, job_ids, i + 1)
          return true
        end
      end
    end
  end

  local function write_leases()
    if #new_claims == 0 then return end
    redis.call('ZADD', LEASES .. queue, unpack(leases))
    redis.call('SADD', PROCESS_CLAIMS .. request.token_prefix, unpack(new_claims))
    if #shown > 0 then redis.call('ZADD', WIP .. queue, unpack(shown)) end
    if redis.call('EXISTS', FAILED .. queue, SCHEDULED .. queue) == 0 then return end
    local job_ids = {}
    for _, claim in ipairs(claims) do table.insert(job_ids, claim[1]) end
    redis.call('ZREM', FAILED .. queue, unpack(job_ids))
    redis.call('ZREM', SCHEDULED .. queue, unpack(job_ids))
  end

  if request.ordered_types ~= '' and redis.call('EXISTS', WAITING_LINES) == 1 then order('open_lines') end
  for _ = 1, 10 do
    local job_ids = #claims < wanted and redis.call('LPOP', QUEUE .. queue, wanted - #claims)
    if not job_ids or claim_popped(job_ids) then break end
  end
  write_leases()
  return claims, without_record
end
