-- What the counts said when a job was found for everything. ARGV: that number, seconds until everything is looked up again.
redis.call('SET', SWEEP_MARK, ARGV[1], 'EX', ARGV[2])
return 1
