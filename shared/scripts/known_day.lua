-- Find an id that stays known although its event's record has expired.
-- ARGV: event id.  Returns the day on which the event was closed, in days since 1970, or nothing.
return redis.call('HGET', known_ids_of(ARGV[1]), pack_id(ARGV[1]))
