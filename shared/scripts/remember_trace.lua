-- Note the traces that events' senders have begun, for the spans of their runs.
-- ARGV: an event's id and its sender's traceparent, for each event. What is noted already stays.
for at = 1, #ARGV, 2 do
  local key = EVENT .. ARGV[at]
  if redis.call('EXISTS', key) == 1 then redis.call('HSETNX', key, 'traceparent', ARGV[at + 1]) end
end
return 0
