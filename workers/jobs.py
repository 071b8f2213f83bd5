"""The function that RQ's job hashes name. Only `surehook worker` executes our jobs: here it raises an error."""


def handle(event_id: str) -> None:
    """Refuses to run: a stock `rq worker` knows neither leases nor retries nor the event's record."""
    raise RuntimeError(f"event {event_id} is for `surehook worker`: do not run `rq worker` on Surehook's queues")
