-- Erase an event, now or when its running jobs end. It is safe to repeat.
-- ARGV: event id, user id ('': any), retention in s.
-- Returns 'erased', 'running' or 'gone' (no such event of that user, or erased before), attempts, dead letters.
local key = EVENT .. ARGV[1]
local known = redis.call('HMGET', key, 'user', 'outcome')
if redis.call('EXISTS', key) == 0 or known[2] == 'erased' or (ARGV[2] ~= '' and known[1] ~= ARGV[2]) then
  return {'gone', 0, 0}
end
return {erase(ARGV[1], ARGV[3])}
