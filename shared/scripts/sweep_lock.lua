-- Take the lock of the sweep, which one process holds at a time. ARGV: ms until it expires, then our queues.
-- Returns 1, or 0 if another process has it.
for i = 2, #ARGV do redis.call('SADD', OUR_QUEUES, ARGV[i]) end
return redis.call('SET', SWEEP_LOCK, 1, 'NX', 'PX', ARGV[1]) and 1 or 0
