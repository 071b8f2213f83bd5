-- Start a planned bulk action, or resume one that was stopped or whose runner is gone.
-- ARGV: id, who, '1' if a dashboard is to run it or '', then fields and values that change ('reason', 'rate').
-- Returns 'started', 'running' (a process runs it), 'done' or 'gone'.
local key = BULK .. ARGV[1]
local known = redis.call('HMGET', key, 'state', 'lease_until', 'verb', 'target', 'planned')
if not known[1] then return 'gone' end
if known[1] == 'done' then return 'done' end
if known[1] == 'running' and tonumber(known[2]) > now_ms then return 'running' end
redis.call('HSET', key, 'state', 'running', 'token', '', 'lease_until', 0, 'note', '', 'updated_at', now_ms)
redis.call('HSET', key, 'for_dashboard', ARGV[3])
if #ARGV > 3 then redis.call('HSET', key, unpack(ARGV, 4)) end
redis.call('EXPIRE', key, BULK_KEPT_SECONDS)
-- Its first event may have failed: it begins with another.
if known[1] == 'stopped' then redis.call('HDEL', key, 'canary') end
local word = ' resumed'
if known[1] == 'planned' then
  redis.call('HSET', key, 'who', ARGV[2])
  word = ' started'
end
audit(ARGV[2], 'bulk ' .. known[3] .. word, known[4], tonumber(known[5]), redis.call('HGET', key, 'reason'), ARGV[1])
return 'started'
