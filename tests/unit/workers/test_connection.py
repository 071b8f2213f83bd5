"""The fetcher's connection while the store is unavailable."""

import logging
import threading
from typing import Any

import pytest
from redis.exceptions import ConnectionError as StoreConnectionError
from redis.exceptions import ReadOnlyError

from surehook.shared.keys import Keys
from surehook.shared.scripts import Script
from surehook.workers import connection as connection_module
from surehook.workers.connection import LONGEST_BACKOFF_SECONDS, Connection

FAILURES = 8
LOST = StoreConnectionError("a word of the store's")
REPLICA = ReadOnlyError("a word of the store's", status_code="READONLY")


class Store:
    """Fails a number of times, then answers."""

    def __init__(self, error: Exception, failures: int = FAILURES) -> None:
        self.error = error
        self.failures = failures
        self.connection_pool = self
        self.calls = 0

    def get_connection(self) -> "Store":
        return self

    def send_packed_command(self, *_: object, **__: object) -> None:
        self.calls += 1
        if self.calls <= self.failures:
            raise self.error

    def read_response(self) -> str:
        return "reply"

    def disconnect(self) -> None:
        pass

    def release(self, _: object) -> None:
        pass


class Pauses(threading.Event):
    """Records the seconds of each wait, and does not wait."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.seconds.append(timeout or 0.0)
        return False


@pytest.mark.parametrize(
    ("error", "said"),
    [
        pytest.param(LOST, "store unavailable, waiting", id="away"),
        pytest.param(REPLICA, "store refuses commands, waiting", id="there, but a replica"),
    ],
)
def test_calls_to_an_unavailable_store_are_repeated_with_growing_pauses_and_logged_once(
    error: Exception, said: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "FIRST_BACKOFF_SECONDS", 0.001)
    caplog.set_level(logging.INFO)
    store: Any = Store(error)
    pauses = Pauses()

    reply, _ = Connection(store).call_until_answered(Script("exchange", Keys()), (), pauses, lambda: None)

    assert reply == "reply"
    assert store.calls == FAILURES + 1
    assert pauses.seconds == sorted(pauses.seconds)
    assert pauses.seconds[-1] > 50 * pauses.seconds[0]
    assert max(pauses.seconds) <= LONGEST_BACKOFF_SECONDS
    assert [record.message for record in caplog.records] == [said, "store available again"]
    assert "a word of the store's" not in caplog.text


@pytest.mark.parametrize("error", [LOST, REPLICA])
def test_a_connection_that_was_closed_while_idle_delays_nothing_and_is_no_outage(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    store: Any = Store(error, failures=1)
    pauses = Pauses()

    Connection(store).call_until_answered(Script("exchange", Keys()), (), pauses, lambda: None)

    assert store.calls == 2
    assert pauses.seconds == []
    assert not caplog.records
