-- Several handlers want an event: one job for each, in place of the event's own. The body stays stored once.
-- ARGV: queue, event id, token, then handler, its queue, its timeout, and so on.  Returns 'done' or 'stale'.
local queue, event_id = ARGV[1], ARGV[2]
if not release(queue, event_id, ARGV[3]) then return 'stale' end
local names = {}
for i = 4, #ARGV, 3 do
  table.insert(names, ARGV[i])
  redis.call('HSET', EVENT .. event_id, 'queue:' .. ARGV[i], ARGV[i + 1])
end
redis.call('HSET', EVENT .. event_id, 'handlers', table.concat(names, ','))
redis.call('INCRBY', SPLIT, #names - 1)
reset_counters(event_id)
delete_job(event_id)
for i = 4, #ARGV, 3 do
  local job_id = event_id .. '_' .. ARGV[i]
  create_job(job_id, ARGV[i + 1], ARGV[i + 2])
  enqueue(job_id, ARGV[i + 1])
end
return 'done'
