-- Say what is known of events. ARGV: two for each event: id, id as 16 bytes.
-- Returns for each 'new', 'present', 'refused' (a transaction that ended with a refusal and has not run since) or
-- 'confirmed' (one that was answered with success).
local found = {}
for at = 1, #ARGV, 2 do
  local id = ARGV[at]
  local record = redis.call('HMGET', EVENT .. id, 'type', 'closed_at', 'decision', 'committed', 'body')
  local decision = record[3]
  local is_refusal = decision == 'rejected' or decision == 'failed' or decision == 'abandoned'
  if not record[1] and not record[2] then
    found[#found + 1] = is_known_id(id, ARGV[at + 1]) and 'present' or 'new'
  elseif is_refusal and record[2] and record[5] and not record[4] then
    found[#found + 1] = 'refused'
  elseif decision == 'completed' then
    found[#found + 1] = 'confirmed'
  else
    found[#found + 1] = 'present'
  end
end
return found
