"""Code that the ingest and worker processes share.

1. Configuration: `settings` and `auth_settings` read and check it; `errors` names what can go wrong; `log` formats log
   lines.
2. Events: `event_types` lists FusionAuth's types, `envelope` parses a body, `models` holds the class of each type,
   `transactional_events` decides which types are transactional, `encryption` encrypts bodies.
3. The store: `keys` names every key, `scripts` runs the Lua scripts, `job_id` reads a job's id, `store` connects,
   `embedded` runs a store for development.
4. Operation: `stats` reads the counts, `store_metrics` and `metrics_server` show them, `heartbeat` tells that a process
   is alive, `child_processes` starts processes that stop with their parent, `restart_policy` says when a supervisor
   replaces a dead one, `backoff` spaces retries of our own, `exit_status` lists the exit statuses.
"""
