-- Forget the ids of events that were closed longer ago than ID_RETENTION: walk through all hashes of ids, once a day and
-- a few in each call. It is safe to repeat, and in several processes at once.
-- ARGV: id retention in s, how many ids to look at before it stops.  Returns 1 if the walk is not over.
local FIRST_NAME, LAST_NAME = 0, 65535  -- as hexadecimal numbers of SHORTEST_NAME digits
local day, wanted = math.floor((now_ms / 1000 - tonumber(ARGV[1])) * 1000 / MS_PER_DAY), tonumber(ARGV[2])
local seen = 0

-- Returns whether ids remain whose names end so.
local function forget(name)
  local key, old = KNOWN_IDS .. name, {}
  local known = redis.call('HGETALL', key)
  seen = seen + 1 + #known / 2
  if known[1] == '' then
    local has_ids = false
    for digit in string.gmatch(HEX_DIGITS, '.') do has_ids = forget(digit .. name) or has_ids end
    if not has_ids then redis.call('DEL', key) end
    return has_ids
  end
  for i = 1, #known, 2 do
    if tonumber(known[i + 1]) < day then table.insert(old, known[i]) end
  end
  for _, packed_id in ipairs(old) do redis.call('HDEL', key, packed_id) end
  return #known > 2 * #old
end

local walk = redis.call('HMGET', KNOWN_IDS_STATE, 'day', 'next')
if not walk[1] then redis.call('HSET', KNOWN_IDS_STATE, 'day', day) end
if not walk[1] or tonumber(walk[1]) >= day then return 0 end
local name = tonumber(walk[2] or FIRST_NAME)
repeat
  forget(string.format('%04x', name))
  name = name + 1
until seen >= wanted or name > LAST_NAME
if name <= LAST_NAME then
  redis.call('HSET', KNOWN_IDS_STATE, 'next', name)
  return 1
end
redis.call('HDEL', KNOWN_IDS_STATE, 'next')
redis.call('HSET', KNOWN_IDS_STATE, 'day', day)
return 0
