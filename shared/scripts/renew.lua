-- Renew leases. ARGV: queue, worker, lease in ms, then claims `{job}:{token}`.  Returns the claims that are lost.
local queue, lost = ARGV[1], {}
for i = 4, #ARGV do
  if redis.call('ZSCORE', LEASES .. queue, ARGV[i]) then
    redis.call('ZADD', LEASES .. queue, now_ms + tonumber(ARGV[3]), ARGV[i])
    redis.call('HSET', EXECUTION .. ARGV[i], 'last_heartbeat', now_seconds)
    redis.call('HSET', JOB .. string.match(ARGV[i], '^[^:]+'), 'last_heartbeat', iso_now())
  else
    table.insert(lost, ARGV[i])
  end
end
return lost
