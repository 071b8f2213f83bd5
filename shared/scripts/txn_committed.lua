-- FusionAuth committed its transaction in spite of our refusal: run the event's handlers on the retrying queue.
-- ARGV: event id, queue, handler timeout.  Returns 1, or 0 if it is not a closed transaction that was refused.
local id, queue = ARGV[1], ARGV[2]
local record = redis.call('HMGET', EVENT .. id, 'decision', 'closed_at', 'body')
if not record[2] or not record[3] then return 0 end
if record[1] ~= 'rejected' and record[1] ~= 'failed' and record[1] ~= 'abandoned' then return 0 end
reopen(id)
redis.call('ZREM', DECIDED .. record[1], id)
redis.call('HSET', EVENT .. id, 'committed', 1)
redis.call('HDEL', EVENT .. id, 'given_up')
create_job(id, queue, ARGV[3])
enqueue(id, queue)
return 1
