-- Take dead letters of which the hooks are to be told now, and have burials note new ones.
-- ARGV: limit (0: take none), lease in ms, seconds for which burials are noted.
-- Returns job ids, each followed by the lease that `told` must name.
redis.call('SET', LETTER_HOOKS, '1', 'EX', ARGV[3])
local taken = {}
if ARGV[1] == '0' then return taken end
local expires_at = now_ms + tonumber(ARGV[2])
for _, job_id in ipairs(redis.call('ZRANGEBYSCORE', UNTOLD, '-inf', now_ms, 'LIMIT', 0, ARGV[1])) do
  redis.call('ZADD', UNTOLD, expires_at, job_id)
  table.insert(taken, job_id)
  table.insert(taken, tostring(expires_at))
end
return taken
