-- The ids of closed events. They stay known for ID_RETENTION, long after the events' records have expired.
--
-- An id is a field of 16 bytes in a small hash that is named by the last characters of the id. Its value is the day on
-- which the event was closed. The store keeps a small hash as one compact string (hash-max-listpack-entries, 512 by
-- default). A hash that grows too large is split by one more character: only the field '' stays, and its ids move to
-- hashes that are named by one character more.

local SHORTEST_NAME = 4
local LONGEST_NAME = 8
local MOST_IDS = 256
local HEX_DIGITS = '0123456789abcdef'
local MS_PER_DAY = 86400000

-- Returns the id as 16 bytes. Scripts that need it often get it as an argument, because this takes 5 microseconds.
local function pack_id(id)
  return struct.pack('>I4I4I4I4', tonumber(string.sub(id, 1, 8), 16),
    tonumber(string.sub(id, 10, 13) .. string.sub(id, 15, 18), 16),
    tonumber(string.sub(id, 20, 23) .. string.sub(id, 25, 28), 16), tonumber(string.sub(id, 29, 36), 16))
end

local function unpack_id(packed_id)
  local hex = string.gsub(packed_id, '.', function(byte) return string.format('%02x', string.byte(byte)) end)
  return string.sub(hex, 1, 8) .. '-' .. string.sub(hex, 9, 12) .. '-' .. string.sub(hex, 13, 16) .. '-'
    .. string.sub(hex, 17, 20) .. '-' .. string.sub(hex, 21, 32)
end

-- Returns the hash where an id is or belongs. `longest_name` is read once in a script, because nothing was split in most
-- stores.
local longest_name
local function known_ids_of(id)
  longest_name = longest_name or tonumber(redis.call('HGET', KNOWN_IDS_STATE, 'longest') or SHORTEST_NAME)
  for length = SHORTEST_NAME, longest_name - 1 do
    local key = KNOWN_IDS .. string.sub(id, -length)
    if redis.call('HEXISTS', key, '') == 0 then return key end
  end
  return KNOWN_IDS .. string.sub(id, -longest_name)
end

local function is_known_id(id, packed_id) return redis.call('HEXISTS', known_ids_of(id), packed_id) == 1 end

-- The hexadecimal digit of an id that stands in front of its last `length` ones.
local function digit_before(field, length)  -- rare
  local byte = string.byte(field, 16 - math.floor(length / 2))
  local digit = length % 2 == 0 and byte % 16 or math.floor(byte / 16)
  return string.sub(HEX_DIGITS, digit + 1, digit + 1)
end

local function split_known_ids(key)  -- rare
  local name = string.sub(key, #KNOWN_IDS + 1)
  local known = redis.call('HGETALL', key)
  redis.call('DEL', key)
  redis.call('HSET', key, '', '')
  for i = 1, #known, 2 do
    redis.call('HSET', KNOWN_IDS .. digit_before(known[i], #name) .. name, known[i], known[i + 1])
  end
  longest_name = math.max(longest_name, #name + 1)
  redis.call('HSET', KNOWN_IDS_STATE, 'longest', longest_name)
end

-- Keep an id known. Its day is that of the last call.
local function remember_id(id, packed_id)
  local key = known_ids_of(id)
  if redis.call('HSET', key, packed_id, math.floor(now_ms / MS_PER_DAY)) == 0 then return end
  -- The length is read for one id in sixteen, and the first digit of an id is as good as a random number.
  if string.sub(id, 1, 1) == '0' and #key < #KNOWN_IDS + LONGEST_NAME and redis.call('HLEN', key) > MOST_IDS then
    split_known_ids(key)
  end
end
