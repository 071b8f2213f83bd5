-- Failure groups: the dead letters of a handler that failed in the same way.
--
-- A dead letter's group is its score in RQ's failed registry. So the number of a group's letters is right whatever
-- removes one, RQ's own tools included. As instants the scores are in the years 5138 to 7316: nothing expires by them.

local FIRST_GROUP = 100000000000
local LAST_GROUP = 168719476735  -- the ids of groups are 9 hexadecimal digits
local MOST_GROUPS = 1000  -- for each handler
local MOST_REMEMBERED = 50  -- for each event and handler

local function count_letters(first, last)  -- rare
  local count = 0
  for _, queue in ipairs(redis.call('SMEMBERS', OUR_QUEUES)) do
    count = count + redis.call('ZCOUNT', FAILED .. queue, first, last)
  end
  return count
end

-- The number of dead letters of each group that has any, and one of them, by the group's score.
local function read_letters()  -- rare
  local counts, samples = {}, {}
  for _, queue in ipairs(redis.call('SMEMBERS', OUR_QUEUES)) do
    local one = redis.call('ZRANGEBYSCORE', FAILED .. queue, FIRST_GROUP, LAST_GROUP, 'WITHSCORES', 'LIMIT', 0, 1)
    while one[2] do
      local score = tonumber(one[2])
      counts[score] = (counts[score] or 0) + redis.call('ZCOUNT', FAILED .. queue, one[2], one[2])
      samples[score] = samples[score] or one[1]
      one = redis.call('ZRANGEBYSCORE', FAILED .. queue, '(' .. one[2], LAST_GROUP, 'WITHSCORES', 'LIMIT', 0, 1)
    end
  end
  return counts, samples
end

local function score_of_group(id)  -- rare
  return FIRST_GROUP + tonumber(id, 16)
end

-- Forget a group of a handler. Returns false if it has dead letters.
local function drop_group(id, handler)  -- rare
  if count_letters(score_of_group(id), score_of_group(id)) > 0 then return false end
  redis.call('DEL', GROUP .. id)
  redis.call('ZREM', GROUPS .. handler, id)
  return true
end

-- Forget the groups of an event that is being erased, because their errors may quote it, unless they have other letters.
local function leave_groups(event_id)  -- rare
  for _, field in ipairs(redis.call('HKEYS', EVENT .. event_id)) do  -- former handlers have some, too
    local name = string.match(field, '^group:(.*)')
    for id in string.gmatch(name and redis.call('HGET', EVENT .. event_id, field) or '', '%x+') do
      drop_group(id, redis.call('HGET', GROUP .. id, 'handler') or name)
    end
  end
end

-- Note in an event's record the groups that it was in, so that its erasure finds them. The oldest makes room.
local function remember_group(job_id, id, handler)  -- rare
  local key, field = EVENT .. event_of(job_id), 'group:' .. handler_of(job_id)
  local ids = redis.call('HGET', key, field) or ''
  if string.find(ids, id, 1, true) then return end
  local all = {}
  for known in string.gmatch(ids, '%x+') do table.insert(all, known) end
  if #all >= MOST_REMEMBERED then drop_group(table.remove(all, 1), handler) end
  table.insert(all, id)
  redis.call('HSET', key, field, table.concat(all, ' '))
end

-- Note a failure in its group. `failure`: its fingerprint, the fingerprint of the handler's source, the frame and the
-- error, a line each. A handler with too many groups has one for all other failures. Returns the score for the registry.
local function join_group(job_id, failure)  -- rare
  local handler, record = handler_of(job_id), EVENT .. event_of(job_id)
  if handler == '' then handler = redis.call('HGET', record, 'handler') or '' end
  local fingerprint, code, frame, error = string.match(failure, '^(.-)\n(.-)\n(.-)\n(.*)$')
  local groups = GROUPS .. handler
  local function id_of(kind) return string.sub(redis.sha1hex(handler .. '\n' .. kind), 1, 9) end
  local function has_room()
    if redis.call('ZCARD', groups) < MOST_GROUPS then return true end
    for _, oldest in ipairs(redis.call('ZRANGE', groups, 0, 9)) do
      if drop_group(oldest, handler) then return true end
    end
  end
  local id = id_of(fingerprint)
  if redis.call('EXISTS', GROUP .. id) == 0 and not has_room() then
    id, frame, error = id_of(''), '', '(other errors)'
  end
  redis.call('HSETNX', GROUP .. id, 'first_seen', now_ms)
  redis.call('HSET', GROUP .. id, 'handler', handler, 'error', error, 'frame', frame, 'code', code, 'last_seen', now_ms)
  redis.call('HINCRBY', GROUP .. id, 'total', 1)
  redis.call('ZADD', groups, now_ms, id)
  redis.call('SADD', GROUP_HANDLERS, handler)
  remember_group(job_id, id, handler)
  return score_of_group(id)
end
