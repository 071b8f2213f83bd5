-- Give closed events a row in the index, or complete their rows. It is safe to repeat.
-- ARGV: retention in s, then for each event: id, facts.  Returns how many rows were added.
local added = 0
for i = 2, #ARGV, 2 do
  local event_id, facts = ARGV[i], ARGV[i + 1]
  local key = EVENT .. event_id
  local record = redis.call('HMGET', key, 'closed_at', 'type', 'row')
  local number = tonumber(record[3] or '')
  if record[1] and record[2] and number and has_row(event_id, number) then
    local at = number % ROWS_A_SEGMENT * ROW_BYTES + 16
    redis.call('SETRANGE', INDEX .. math.floor(number / ROWS_A_SEGMENT), at, facts)
    forget_summary(number)
  elseif record[1] and record[2] then
    local seconds_left = redis.call('TTL', key)  -- none for an orphan
    index_again(event_id, facts, seconds_left > 0 and seconds_left or ARGV[1])
    write_rows()
    added = added + 1
  end
end
return added
