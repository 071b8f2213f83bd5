-- Read a part of the open set, the newest first, and choose events by their records.
-- ARGV: the number in the order of acceptance below which to begin ('+inf': with the newest), how many to look at,
-- type, user, tenant and application ('': any), since and until in ms ('': any).
-- Returns the number at which it ended ('' if nothing is left), an instant that no event left is later than ('': not
-- known), then for each chosen event its id and when it was received in ms.
local wanted_type, user, tenant, application = ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local since, till = tonumber(ARGV[7]) or 0, tonumber(ARGV[8]) or math.huge
local members = redis.call('ZREVRANGEBYSCORE', OPEN, ARGV[1], '-inf', 'WITHSCORES', 'LIMIT', 0, ARGV[2])
local found, bound = {}, nil
for i = 1, #members, 2 do
  local record = redis.call('HMGET', EVENT .. members[i], 'received_at', 'numbered_at', 'type', 'user', 'tenant',
    'application')
  local received_at = tonumber(record[1] or '')
  -- Numbers are given in the order of time, but an event from a spool or from before a replay was received earlier.
  local numbered_at = tonumber(record[2] or '') or received_at
  if numbered_at and (not bound or numbered_at < bound) then bound = numbered_at end
  if received_at and received_at >= since and received_at <= till
    and (wanted_type == '' or record[3] == wanted_type) and (user == '' or record[4] == user)
    and (tenant == '' or record[5] == tenant)
    and (application == '' or string.find(',' .. (record[6] or '') .. ',', ',' .. application .. ',', 1, true)) then
    table.insert(found, members[i])
    table.insert(found, received_at)
  end
end
return {#members == 2 * tonumber(ARGV[2]) and '(' .. members[#members] or '', bound or '', found}
