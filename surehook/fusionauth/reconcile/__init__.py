"""Finds the events that FusionAuth fired for us and that we do not have, and fetches them from its Webhook Event Log.

1. `entries` reads one entry of the log: the event, and how each attempt to deliver it ended.
2. `windows` goes through a period in narrow windows, the oldest entry first, and reads each whole.
3. `decisions` says of each entry what it is to us: not for us, delivered, rolled back, undecided, or missing.
4. `recovery` asks the store which events it knows, and stores the others.
5. `runner` puts it together: the lock, the watermark, and the `statement` that tells how complete a period is.
"""
