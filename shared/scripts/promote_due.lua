-- Move jobs that are due from the schedule to their queue.
-- ARGV: queue, limit, handler timeout.  Returns the number of jobs moved.
return promote_due(ARGV[1], ARGV[2], ARGV[3])
