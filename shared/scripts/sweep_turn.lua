-- One process in all sweeps at a time. ARGV: for how many ms it is this one's turn, then the queues that are ours.
-- Returns 1, or 0 if it is another's.
for i = 2, #ARGV do redis.call('SADD', OUR_QUEUES, ARGV[i]) end
return redis.call('SET', SWEEP_LOCK, 1, 'NX', 'PX', ARGV[1]) and 1 or 0
