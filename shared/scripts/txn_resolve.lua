-- Resolve an orphan, which a person has taken care of.
-- ARGV: event id, retention in s.  Returns 1, or 0 if it is not an orphan (any more).
local id = ARGV[1]
if redis.call('ZREM', ORPHANS, id) == 0 then return 0 end
if redis.call('HGET', EVENT .. id, 'closed_at') then
  redis.call('EXPIRE', EVENT .. id, ARGV[2])
  redis.call('EXPIRE', ATTEMPTS .. id, ARGV[2])
end
return 1
