"""Transactional events: FusionAuth waits for the outcome of their handlers.

1. A handler thread waits for a wake-up, and claims the next events that are within their deadline: one, or a batch
   while handlers are fast (`fetching`, `executor`, `pool`).
2. The body is decrypted, the event parsed, and the transactional handlers run in their order, each with the time that
   is left, until one refuses or fails (`decider`).
3. The outcomes are settled in the store, which decides if they were in time and wakes the ingest processes that wait.
   The same packet claims the next events (`exchange`, `protocol`).
4. Runs are counted and logged while the store works.
5. Handlers to run after the commit, or to undo what others did, become ordinary jobs on their queues.
6. Runs of dead processes are found by the heartbeat, and their effects are undone (`protocol.recover`).
"""
