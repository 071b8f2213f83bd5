-- Add to the counts of minutes, for `handlers list` and charts.
-- ARGV: time to live in s, then for each count: minute, field, number.
local changed = {}
for i = 2, #ARGV, 3 do
  local key = MINUTES .. ARGV[i]
  redis.call('HINCRBY', key, ARGV[i + 1], ARGV[i + 2])
  changed[key] = true
end
for key in pairs(changed) do redis.call('EXPIRE', key, ARGV[1]) end
