-- Renew leases. ARGV: queue, token prefix of the process, lease in ms, then claims `{job}:{token}`; without any, all claims of
-- the process are renewed (its supervisor does that while the process itself cannot).  Returns the claims that are
-- lost.
local queue, lost = ARGV[1], {}
local claims = #ARGV > 3 and {unpack(ARGV, 4)} or redis.call('SMEMBERS', PROCESS_CLAIMS .. ARGV[2])
for _, claim in ipairs(claims) do
  if redis.call('ZSCORE', LEASES .. queue, claim) then
    redis.call('ZADD', LEASES .. queue, now_ms + tonumber(ARGV[3]), claim)
    if redis.call('EXISTS', EXECUTION .. claim) == 1 then
      redis.call('HSET', EXECUTION .. claim, 'last_heartbeat', now_seconds)
    end
    local job = JOB .. string.match(claim, '^[^:]+')
    if redis.call('HSET', job, 'last_heartbeat', iso_now()) == 1 then
      redis.call('DEL', job)  -- deleted by hand: leave no fragment; the end of the claim writes it again
    end
  else
    table.insert(lost, claim)
  end
end
return lost
