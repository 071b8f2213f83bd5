-- Resolve an orphan or an unanswered success, which a person has taken care of.
-- ARGV: event id, retention in s.  Returns 1, or 0 if it is neither (any more).
local id = ARGV[1]
local was_unanswered = redis.call('ZREM', DECIDED .. 'unanswered', id)
if redis.call('ZREM', ORPHANS, id) == 0 then return was_unanswered end
if redis.call('HGET', EVENT .. id, 'closed_at') then
  redis.call('EXPIRE', EVENT .. id, ARGV[2])
  redis.call('EXPIRE', ATTEMPTS .. id, ARGV[2])
  index_again(id, nil, ARGV[2])  -- its row may have expired
  write_rows()
end
return 1
