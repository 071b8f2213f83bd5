"""Transactional events: FusionAuth waits for the outcome of their handlers.

1. A handler thread waits for a wake-up, and claims the next event that is within its deadline (`fetching`, `protocol`).
2. The executor decrypts the body, parses the event, and runs the transactional handlers in their order, each with the
   time that is left, until one refuses or fails (`executor`).
3. The outcome is settled in the store, which decides if it was in time and wakes the ingest processes that wait. The
   same packet claims the next event.
4. Runs are counted and logged while the store works.
5. Handlers to run after the commit, or to undo what others did, become ordinary jobs on their queues.
6. Runs of dead processes are found by the heartbeat, and their effects are undone (`protocol.recover`).
"""
