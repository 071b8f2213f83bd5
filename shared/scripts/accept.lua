-- Put an event on record with its job, unless it was seen before.
-- ARGV: event id, type, tenant, user, application, source, body, queue, handler timeout, the fingerprint
-- of the key the body is encrypted with (none or '': it is plain).  Returns 1 if new, else 0.
local event_id, queue = ARGV[1], ARGV[8]
if redis.call('EXISTS', EVENT .. event_id) == 1 then return 0 end
redis.call('HSET', EVENT .. event_id, 'type', ARGV[2], 'tenant', ARGV[3], 'user', ARGV[4], 'application', ARGV[5],
  'source', ARGV[6], 'body', ARGV[7], 'received_at', now_ms)
if ARGV[10] and ARGV[10] ~= '' then redis.call('HSET', EVENT .. event_id, 'key_id', ARGV[10]) end
create_job(event_id, queue, ARGV[9])
know_queue(queue)
redis.call('RPUSH', QUEUE .. queue, event_id)
redis.call('ZADD', OPEN, now_ms, event_id)
redis.call('HINCRBY', LEDGER, 'accepted', 1)
return 1
