"""The endpoint: HTTP in, event durable, response out.

1. `http` reads the request, within limits of time, size and number.
2. `endpoint` authenticates it (`auth`), reads and parses the body.
3. `store` writes the event, many in one batch, and waits for the fsync.
4. `transactional` instead waits for the handlers, where the event's type is transactional.
5. `endpoint` responds: 2xx only when the event is durable or the handlers have succeeded.
"""
