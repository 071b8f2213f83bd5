"""The function that our jobs name. Only `surehook worker` runs them; this answers whoever else tries."""


def handle(event_id: str) -> None:
    """Refuse: a stock `rq worker` knows neither leases nor retries nor the event's record."""
    raise RuntimeError(f"event {event_id} is for `surehook worker`: do not run `rq worker` on Surehook's queues")
