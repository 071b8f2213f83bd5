-- Choose the segments of the index that may have a row with certain values: by their summaries, if they have one.
-- ARGV: an instant in ms that the row is not later than ('': any), the size of a summary, the values in JSON, segments.
-- A value is a list of alternatives, and each of them a list of bits that are set if it is in the segment.
-- Returns the chosen segments.
local till, size, values = tonumber(ARGV[1]) or math.huge, tonumber(ARGV[2]), cjson.decode(ARGV[3])

local function may_have(summary, alternatives)
  for _, bits in ipairs(alternatives) do
    local set = 0
    for _, bit in ipairs(bits) do set = set + redis.call('GETBIT', summary, bit) end
    if set == #bits then return true end
  end
  return false
end

local function is_chosen(summary)
  if redis.call('STRLEN', summary) ~= size then return true end
  local high, low = struct.unpack('>I2I4', redis.call('GETRANGE', summary, 0, 5))
  if high * 4294967296 + low > till then return false end
  for _, alternatives in ipairs(values) do
    if not may_have(summary, alternatives) then return false end
  end
  return true
end

local chosen = {}
for i = 4, #ARGV do
  if is_chosen(INDEX_SUMMARY .. ARGV[i]) then table.insert(chosen, ARGV[i]) end
end
return chosen
