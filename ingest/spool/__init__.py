"""Keeps events on a local disk while the store takes none.

1. `folder` names and locks the databases in SPOOL_DIR, and finds those that dead processes left.
2. `database` is one of them: SQLite, a transaction for each batch of events.
3. `disk` knows whether the folder takes writes.
4. `databases` are those of this process, its own and the adopted ones, used from one thread.
5. `spool` receives the events that the acceptor cannot store, and answers them once they are on disk.
6. `forwarder` gives them to the store when it is back, oldest first.
"""
