"""Keeps a worker process's claims alive, and puts right what went wrong elsewhere.

1. `heartbeat` renews the leases of claims and queues retries that are due; `transactional_heartbeat` keeps a
   transactional process available and recovers transactions that ended without an outcome.
2. `sweeper` queues open events again that have no job; `job_index` finds where every job is, and `missing_jobs` looks a
   second time for those that it did not find.
3. `retention` deletes the bodies of closed events, and forgets their ids, when their time is over.
4. `recycling` ends a process that has run enough jobs, uses too much memory or has a stuck handler, for a new one.
"""
