-- Remove a process that stops from the live ones, so that no request waits for it.
-- ARGV: kind, process, its queue ('' for none).
redis.call('DEL', ALIVE .. ARGV[1] .. ':' .. ARGV[2])
redis.call('ZREM', ALIVE .. ARGV[1], ARGV[2])
if ARGV[3] ~= '' then redis.call('ZREM', ALIVE .. 'queue:' .. ARGV[3], ARGV[2]) end
return 1
