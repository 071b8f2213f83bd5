-- Give back the jobs that a stock `rq worker` has failed: no handler has run. After several times a job stays a dead
-- letter, which says why.
-- ARGV: queue, handler timeout, how often a job is given back, attempt of a job given back, attempt, exc and failure of one
-- that stays, failure of a dead letter without a group, then job ids of the failed registry.
-- Returns how many were given back, and how many stay.
local queue, timeout, most = ARGV[1], ARGV[2], tonumber(ARGV[3])
local given_back, left = 0, 0

-- Each dead letter of ours has an attempt, and a result that names no execution.
local function is_dead_letter(job_id)
  local newest = redis.call('XREVRANGE', RESULTS .. job_id, '+', '-', 'COUNT', 1)[1]
  for i = 1, newest and #newest[2] or 0, 2 do
    if newest[2][i] == 'execution_id' then return false end
  end
  return redis.call('EXISTS', ATTEMPTS .. event_of(job_id)) == 1
end

-- A transaction that is still in time goes back to its queue; any other is over without this job.
local function restore_transaction(id)
  local txn = load_txn(id)
  redis.call('ZREM', FAILED .. queue, id)
  if not txn then return delete_job(id) end
  if txn.state ~= 'waiting' or now_ms > txn.deadline then return end
  reset_run_fields(id, queue, timeout)
  enqueue_first(id, queue)
  wake_workers(1)
  given_back = given_back + 1
end

local function restore(job_id)
  local misdirected = redis.call('HINCRBY', EVENT .. event_of(job_id), 'misdirected:' .. handler_of(job_id), 1)
  reset_run_fields(job_id, queue, timeout)
  if misdirected > most then
    add_attempt_of(job_id, ARGV[5])
    bury(job_id, queue, ARGV[6], '', ARGV[7])
    left = left + 1
    return
  end
  redis.call('ZREM', FAILED .. queue, job_id)
  add_attempt_of(job_id, ARGV[4])
  enqueue(job_id, queue)
  given_back = given_back + 1
end

for i = 9, #ARGV do
  local job_id = ARGV[i]
  local is_ours = redis.call('EXISTS', EVENT .. event_of(job_id)) == 1
  local score = tonumber(redis.call('ZSCORE', FAILED .. queue, job_id) or nil)
  local has_group = score and score >= FIRST_GROUP and score <= LAST_GROUP
  if not is_ours and has_group then
    redis.call('ZREM', FAILED .. queue, job_id)  -- its record was deleted by hand
    delete_job(job_id)
  elseif is_ours and score then
    if queue == TRANSACTIONAL then
      restore_transaction(job_id)
    elseif is_claimed(job_id, queue) or not is_expected(job_id) then
      redis.call('ZREM', FAILED .. queue, job_id)  -- it runs, or its event is closed
    elseif not is_dead_letter(job_id) then
      restore(job_id)
    elseif not has_group then
      redis.call('ZADD', FAILED .. queue, join_group(job_id, ARGV[8]), job_id)  -- it was put there by hand
    end
  end
end
return {given_back, left}
