-- Clear the rows of the index whose record is gone, or is open, or names another row.
-- A segment that was deleted, and written to since, has no expiry: it gets one.
-- ARGV: segment, first row in it, how many, retention in s.  Returns how many of the cleared rows had a record that says otherwise.
local key, first, count = INDEX .. ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local rows = redis.call('GETRANGE', key, first * ROW_BYTES, (first + count) * ROW_BYTES - 1)
local lies = 0
if redis.call('TTL', key) == -1 then redis.call('EXPIRE', key, ARGV[4]) end
for i = 0, math.floor(#rows / ROW_BYTES) - 1 do
  if string.byte(rows, (i + 1) * ROW_BYTES) ~= 0 then
    local id = unpack_id(string.sub(rows, i * ROW_BYTES + 1, i * ROW_BYTES + 16))
    local number = tostring(ARGV[1] * ROWS_A_SEGMENT + first + i)
    local record = redis.call('HMGET', EVENT .. id, 'row', 'closed_at')
    if record[1] ~= number or not record[2] then
      redis.call('SETRANGE', key, (first + i) * ROW_BYTES, string.rep('\0', ROW_BYTES))
      lies = lies + redis.call('EXISTS', EVENT .. id)
    end
  end
end
return lies
