"""Finds what is wrong with an installation, and between FusionAuth and it.

1. `examination` runs every group of checks and collects their findings; it changes nothing.
2. `settings`, `store`, `prefix`, `spool`, `handlers`, `queues`, `timeouts` and `endpoint` need no access to
   FusionAuth.
3. `access` reads what FusionAuth has configured; `webhook`, `signing`, `events`, `transactions` and `deliveries`
   compare it with ours.
4. `outage` says what FusionAuth's users notice while this receiver is down.
"""
