"""Writes events to the store, durably and in batches.

1. `sentinel` finds the primary, `connection` connects to it.
2. `session` keeps one connection, and only to a store that `durability` found durable.
3. `acceptor` writes events and `script_batcher` calls transactional scripts, both as a `batcher`: one batch is in
   flight, the next one collects.
"""
