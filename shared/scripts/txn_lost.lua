-- Find out what became of a round whose sender got an error or had gone, although it may have been confirmed. An event
-- whose success was confirmed is listed as unanswered: a person decides, as other handlers run after the confirmation.
-- ARGV: event id, round, retention in s.  Returns 'listed', 'pending' (the round is not over) or 'none' (no success).
local id, round, retention = ARGV[1], ARGV[2], tonumber(ARGV[3])
if redis.call('HGET', EVENT .. id, 'confirmed') == round then
  local list = DECIDED .. 'unanswered'
  redis.call('ZREMRANGEBYSCORE', list, '-inf', now_ms - retention * 1000)
  redis.call('ZADD', list, 'NX', now_ms, id)
  redis.call('EXPIRE', list, retention)
  return 'listed'
end
if redis.call('ZSCORE', TXNS, id) and redis.call('HGET', TXN .. id, 'round') == round then return 'pending' end
return 'none'
