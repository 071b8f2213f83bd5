"""The back room: registry, dispatch, retries, RQ worker, dead letters."""
