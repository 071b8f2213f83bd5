-- The actions of operators: the audit, what an event's record keeps of them, and actions on many dead letters.
--
-- A bulk action is run by one process at a time, which holds a lease under its token. Each step names the token, so that
-- a process that was stopped, or that another has replaced, changes nothing more.

local AUDIT_KEPT = 10000
local ACTIONS_KEPT = 10  -- for each event
local RUN_LEASE_MS = 15000
local BULK_KEPT_SECONDS = 604800  -- a week after its last step

local function audit(who, action, target, count, reason, bulk)  -- rare
  redis.call('XADD', AUDIT, 'MAXLEN', AUDIT_KEPT, '*', 'who', who or '', 'action', action, 'target', target or '',
    'count', count or 1, 'reason', reason or '', 'bulk', bulk or '')
end

-- Add an operator's action to the record of a job's event, one line of JSON each, the newest last.
local function note_action(job_id, action, who, reason)  -- rare
  local key = EVENT .. event_of(job_id)
  if redis.call('EXISTS', key) == 0 then return end
  local lines = {}
  for line in string.gmatch(redis.call('HGET', key, 'actions') or '', '[^\n]+') do table.insert(lines, line) end
  table.insert(lines, cjson.encode({at = now_ms, action = action, handler = handler_of(job_id), who = who or '',
    reason = reason or ''}))
  redis.call('HSET', key, 'actions', table.concat(lines, '\n', math.max(1, #lines - ACTIONS_KEPT + 1)))
end

-- Renew the lease of a bulk action. Returns false if it is not this runner's (any more).
local function renew_run(id, token)  -- rare
  local known = redis.call('HMGET', BULK .. id, 'state', 'token')
  if known[1] ~= 'running' or known[2] ~= token then return false end
  redis.call('HSET', BULK .. id, 'lease_until', now_ms + RUN_LEASE_MS, 'updated_at', now_ms)
  return true
end

-- Take a dead letter out of its registry for an action. `step`, for a step of a bulk action: its id, the runner's token,
-- when it was planned, in RQ's format, and the newest result of the job. A letter that died after that was replayed, by
-- this action or another. Returns 1, 0 if it is no dead letter (any more), or -1 if the runner may not go on.
local function take_letter(queue, job_id, action, who, reason, step)  -- rare
  local bulk, token, planned_at, result = unpack(step)
  if not bulk or bulk == '' then
    if redis.call('ZREM', FAILED .. queue, job_id) == 0 then return 0 end
    audit(who, action, job_id, 1, reason)
    return 1
  end
  if not renew_run(bulk, token) then return -1 end
  local died_at = redis.call('HGET', JOB .. job_id, 'ended_at')
  if died_at and died_at > planned_at or redis.call('ZREM', FAILED .. queue, job_id) == 0 then
    redis.call('HINCRBY', BULK .. bulk, 'skipped', 1)
    return 0
  end
  redis.call('HINCRBY', BULK .. bulk, 'done', 1)
  if redis.call('HSETNX', BULK .. bulk, 'canary', job_id) == 1 then
    redis.call('HSET', BULK .. bulk, 'canary_result', result, 'canary_queue', queue)
  end
  return 1
end
