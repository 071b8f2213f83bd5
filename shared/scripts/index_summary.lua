-- Keep the summary of a segment of the index as long as the segment, unless its rows have changed since they were read.
-- ARGV: segment, the placeholder that was set before the rows were read, the summary.  Returns 1, or 0 if they changed.
local summary, ms = INDEX_SUMMARY .. ARGV[1], redis.call('PTTL', INDEX .. ARGV[1])
if redis.call('GET', summary) ~= ARGV[2] or ms <= 0 then return 0 end
redis.call('SET', summary, ARGV[3], 'PX', ms)
return 1
