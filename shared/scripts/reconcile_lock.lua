-- Take, keep or release the lock of `surehook reconcile`. ARGV: the run's token, for how long in ms (0: release it).
-- Returns 1 if the run holds it, or has released it; 0 if another one holds it.
local holder = redis.call('GET', RECONCILE_LOCK)
if holder and holder ~= ARGV[1] then return 0 end
if tonumber(ARGV[2]) > 0 then
  redis.call('SET', RECONCILE_LOCK, ARGV[1], 'PX', ARGV[2])
elseif holder then
  redis.call('DEL', RECONCILE_LOCK)
end
return 1
