"""Finds what is wrong with an installation, and between FusionAuth and it.

1. `examination` runs every group of checks and collects their findings; it changes nothing.
2. `settings`, `store`, `prefix`, `spool`, `handlers`, `queues`, `timeouts` and `endpoint` need no access to
   FusionAuth.
"""
