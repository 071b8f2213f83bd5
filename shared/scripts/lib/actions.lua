-- The actions of operators on events.

local ACTIONS_KEPT = 10  -- for each event

-- Add an operator's action to the record of a job's event, one line of JSON each, the newest last.
local function note_action(job_id, action, who, reason)
  local key = EVENT .. event_of(job_id)
  if redis.call('EXISTS', key) == 0 then return end
  local lines = {}
  for line in string.gmatch(redis.call('HGET', key, 'actions') or '', '[^\n]+') do table.insert(lines, line) end
  table.insert(lines, cjson.encode({at = now_ms, action = action, handler = handler_of(job_id), who = who or '',
    reason = reason or ''}))
  redis.call('HSET', key, 'actions', table.concat(lines, '\n', math.max(1, #lines - ACTIONS_KEPT + 1)))
end
