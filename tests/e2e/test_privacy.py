"""P6: personal data stays in the event record."""

from collections.abc import Callable

import httpx
import redis

from tests.support.events import USER_ID, an_event
from tests.support.house import House, wait_until

MARK = "Zyxwvut"
HANDLERS = """
@on("user.create", name="works")
def works(event): effect("works")

@on("user.delete", name="fails", retries=1, backoff=[0])
def fails(event):
    effect("fails")
    raise ValueError(f"cannot find {event.user.email} of {event.user!r} in {event['info']} {event.raw!r}")

@on("user.update", name="slow", retries=0, timeout=0.3)
def slow(event):
    effect("slow")
    time.sleep(5)

@on("user.reactivate", name="dies")
def dies(event, attempt):
    effect("dies")
    if attempt.number == 1: os.kill(os.getpid(), signal.SIGKILL)
"""


def marked(event_type: str) -> dict[str, object]:
    return an_event(
        event_type,
        user={"id": USER_ID, "email": f"{MARK}@example.com", "firstName": f"Q{MARK}", "data": {"note": f"{MARK} x"}},
        info={"ipAddress": "203.0.113.77", "location": {"city": f"{MARK}ville"}},
        token=f"{MARK}.token",
    )


def stored_outside_records(store: redis.Redis) -> bytes:
    found = b""
    for key in store.scan_iter():
        if not key.startswith(b"surehook:event:"):
            found += key + (store.dump(key) or b"")
    return found


def test_no_mark_of_an_event_is_found_anywhere_else(build_house: Callable[..., House]) -> None:
    house = build_house(HANDLERS)
    house.start_ingest(SUREHOOK_LOG_LEVEL="DEBUG")
    house.start_worker(SUREHOOK_LOG_LEVEL="DEBUG")
    dashboard = f"http://127.0.0.1:{house.dashboard_port}"
    house.surehook("dashboard", SUREHOOK_LOG_LEVEL="DEBUG")

    events = [marked(f"user.{verb}") for verb in ("create", "delete", "update", "reactivate")]
    answers = [house.deliver(event) for event in events]
    broken = house.deliver(body=b'{"event": {"type": "' + MARK.encode() + b'@"}}')
    wait_until(lambda: sorted(house.effects()) == ["dies", "dies", "fails", "fails", "slow", "works"])
    with house.redis() as store:
        wait_until(lambda: store.zcard("rq:failed:events") == 2, "both are dead letters")
        keys = stored_outside_records(store)
    pages = [
        httpx.get(f"{dashboard}/0/data/job/{event['id']}.json").text
        for event in events
        if wait_until(lambda: answers_at_all(dashboard), "the dashboard is there")
    ]
    shown = house.run("dead-letters", "list").stdout + "".join(
        house.run("dead-letters", "show", str(event["id"])).stdout for event in events[1:3]
    )
    metrics = [
        httpx.get(f"http://127.0.0.1:{port}/metrics").text for port in (house.metrics_port, house.worker_metrics_port)
    ]

    assert "ValueError: cannot find ***" in shown
    assert any("ValueError: cannot find ***" in page for page in pages)
    for text in (house.logged(), *pages, shown, *metrics, *(answer.text for answer in answers), broken.text):
        assert MARK.lower() not in text.lower()
        assert "203.0.113.77" not in text
    assert MARK.encode() not in keys


def answers_at_all(url: str) -> bool:
    try:
        return httpx.get(url).is_success
    except httpx.TransportError:
        return False
