"""The workers: they take events out of the store and run handlers.

1. The supervisor (`supervisor`) starts one or more processes for each queue, and replaces those that end.
2. A process (`process`) loads the user's handlers, and the launcher (`launcher`) assembles and starts its threads.
3. A fetcher thread (`queue`) claims jobs under a lease, many in one exchange with the store. For the queue
   `transactional`, the handler threads claim events themselves (`transactional`).
4. Handler threads run the handlers, with their timeouts (`execution`, `handlers`).
5. Each result goes back as an acknowledgement: finished, retried later, dead letter, or given back.
6. A heartbeat thread (`maintenance`) renews leases and queues due retries, and a sweeper finds lost jobs.
7. If a process dies, the supervisor gives its jobs back immediately; if the supervisor dies as well, any other worker
   does so when the leases expire.
"""
