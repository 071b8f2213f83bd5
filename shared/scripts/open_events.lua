-- Read a part of the open set, the newest first, and choose events by their records.
-- ARGV: the number in the order of acceptance below which to begin ('+inf': with the newest), how many to look at,
-- type, user, tenant and application ('': any), since and until in ms ('': any).
-- Returns the number at which it ended ('' if nothing is left), an instant that no event left is later than ('': not
-- known), then for each chosen event its id and when it was received in ms.
local wanted = {unpack(ARGV, 3, 8)}
local members = redis.call('ZREVRANGEBYSCORE', OPEN, ARGV[1], '-inf', 'WITHSCORES', 'LIMIT', 0, ARGV[2])
local found, bound = {}, nil
for i = 1, #members, 2 do
  local record = redis.call('HMGET', EVENT .. members[i], 'received_at', 'numbered_at', 'type', 'user', 'tenant',
    'application')
  local received_at = tonumber(record[1] or '')
  -- Numbers are given in the order of time, but an event from a spool or from before a replay was received earlier.
  local numbered_at = tonumber(record[2] or '') or received_at
  if numbered_at and (not bound or numbered_at < bound) then bound = numbered_at end
  local fields = {received_at = record[1], type = record[3], user = record[4], tenant = record[5],
    application = record[6]}
  if has_values(fields, wanted) then
    table.insert(found, members[i])
    table.insert(found, received_at)
  end
end
return {#members == 2 * tonumber(ARGV[2]) and '(' .. members[#members] or '', bound or '', found}
