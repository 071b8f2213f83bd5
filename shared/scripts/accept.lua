-- Store a batch of events with their jobs, except those that were seen before.
-- ARGV: eleven for each event: id, type, tenant, user, application, source, body, queue, handler timeout, fingerprint of
-- the body's encryption key (empty for a plain body), id as 16 bytes. Behind all events may stand the limit of waiting
-- events, and behind it, for events from a spool, the instants at which they were received (ms, separated by blanks).
-- Returns for each event 1 if new, 0 if known, -1 if there is no room for it; 'known ' and the type of the stored
-- event if it is another event with the same id; 'refused ' and an error's code if its key is of another kind.
local FIELDS_PER_EVENT = 11
local count = math.floor(#ARGV / FIELDS_PER_EVENT)
local room = count
local options = #ARGV % FIELDS_PER_EVENT
if options > 0 then room = backlog_room(tonumber(ARGV[#ARGV - options + 1]), count) end
local received = {}
if options == 2 then
  for ms in string.gmatch(ARGV[#ARGV], '%d+') do received[#received + 1] = math.min(tonumber(ms), now_ms) end
  for n = 1, count do  -- the ids of users that were erased since then become known, so that their events are dropped
    local at = (n - 1) * FIELDS_PER_EVENT
    local user, packed_id = ARGV[at + 4], ARGV[at + FIELDS_PER_EVENT]
    local erased_at = user ~= '' and redis.call('GET', ERASED_USER .. redis.sha1hex(user))
    if erased_at and received[n] <= tonumber(erased_at) then
      redis.call('HSET', known_ids_of(ARGV[at + 1]), packed_id, math.floor(now_ms / MS_PER_DAY))
    end
  end
end
local now = iso_now()
local outcomes, opened, waiting = {}, {}, {}
for at = 1, count * FIELDS_PER_EVENT, FIELDS_PER_EVENT do
  local event_id, queue, key = ARGV[at], ARGV[at + 7], EVENT .. ARGV[at]
  if redis.call('EXISTS', key) == 1 then
    local known = redis.pcall('HMGET', key, 'type', 'body', 'key_id')
    if known.err then
      outcomes[#outcomes + 1] = 'refused ' .. string.match(known.err, '%S+')
    else
      local known_type = other_type(known[1], known[2], known[3], ARGV[at + 1], ARGV[at + 6], ARGV[at + 9])
      outcomes[#outcomes + 1] = known_type and 'known ' .. known_type or 0
    end
  elseif is_known_id(event_id, ARGV[at + 10]) then
    outcomes[#outcomes + 1] = 0
  elseif room <= 0 then
    outcomes[#outcomes + 1] = -1
  else
    room = room - 1
    outcomes[#outcomes + 1] = 1
    local received_at = received[#outcomes] or now_ms
    redis.call('HSET', key, 'type', ARGV[at + 1], 'tenant', ARGV[at + 2], 'user', ARGV[at + 3],
      'application', ARGV[at + 4], 'source', ARGV[at + 5], 'body', ARGV[at + 6], 'received_at', received_at)
    -- The log of FusionAuth has it, so its operation was committed.
    if ARGV[at + 5] == 'reconcile' then redis.call('HSET', key, 'committed', 1) end
    if received[#outcomes] then redis.call('HSET', key, 'numbered_at', now_ms) end
    if ARGV[at + 9] ~= '' then redis.call('HSET', key, 'key_id', ARGV[at + 9]) end
    write_job(event_id, queue, ARGV[at + 8], ARGV[at + 1], now)
    local ids = waiting[queue]
    if not ids then
      ids = {}
      waiting[queue] = ids
    end
    ids[#ids + 1] = event_id
    opened[#opened + 1] = 0  -- its number, see below
    opened[#opened + 1] = event_id
  end
end
if #opened > 0 then
  for queue, ids in pairs(waiting) do
    register_queue(queue)
    redis.call('RPUSH', QUEUE .. queue, unpack(ids))
  end
  -- The open set has each event's number in the order of acceptance: how many were accepted, with this one.
  local number = redis.call('HINCRBY', LEDGER, 'accepted', #opened / 2) - #opened / 2
  for at = 1, #opened, 2 do opened[at] = number + (at + 1) / 2 end
  redis.call('ZADD', OPEN, unpack(opened))
end
return outcomes
