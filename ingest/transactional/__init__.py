"""Transactional events, whose sender waits for the handlers.

1. `submission` submits the events of a batch in one call; `coordinator` waits until the deadline of each.
2. `outcomes` receives what the workers decided.
3. `coordinator` confirms a success before it responds, and abandons the event if the sender has gone.
4. `heartbeat` registers this process, and turns successes that were never confirmed into orphans.
"""
