-- Keep the drift of a sweep that found a job for every event. ARGV: the drift, seconds until the next full sweep.
redis.call('SET', SWEEP_MARK, ARGV[1], 'EX', ARGV[2])
return 1
