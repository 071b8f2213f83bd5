-- A process ends in order: nobody shall wait for it.
-- ARGV: kind, process, its queue ('' for none).
redis.call('DEL', ALIVE .. ARGV[1] .. ':' .. ARGV[2])
redis.call('ZREM', ALIVE .. ARGV[1], ARGV[2])
if ARGV[3] ~= '' then redis.call('ZREM', ALIVE .. 'queue:' .. ARGV[3], ARGV[2]) end
return 1
