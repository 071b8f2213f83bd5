"""DURABILITY=replicated: an answer means that the replicas have it on disk, a duplicate's answer too."""

import asyncio
import signal
from collections.abc import Iterator

import pytest

from harness.events import a_body
from surehook.ingest.store.durability import missing_replicas
from surehook.shared.envelope import parse_envelope
from surehook.shared.errors import StoreUnavailable
from surehook.shared.settings import Settings
from tests.integration.test_session import running, settled, until
from tests.support.log_reasons import reasons
from tests.support.replicas import Fleet


@pytest.fixture
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    fleet = Fleet(tmp_path_factory.mktemp("f"), replicas=1, is_watched=False)
    yield fleet
    fleet.close()


def test_an_event_that_a_replica_lacks_is_acknowledged_by_no_process(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("surehook.ingest.store.session.CHECK_EVERY_SECONDS", 3600)
    monkeypatch.setattr(
        "surehook.ingest.store.connection.REPLY_TIMEOUT_SECONDS", 5
    )  # it is the replicas' acknowledgement that counts
    settings = Settings(redis_url=f"redis://127.0.0.1:{fleet.ports[0]}/0", durability="replicated")
    replica = fleet.servers[fleet.ports[1]]
    event = parse_envelope(a_body())

    async def play() -> None:
        async with running(settings) as one, running(settings) as other:
            await until(lambda: one.is_ready and other.is_ready)  # once the replica wrote what it began with
            caplog.clear()
            replica.send_signal(signal.SIGSTOP)
            try:
                assert await settled(one.accept(event)) == [StoreUnavailable]
                # The primary has it, and the other process has no reason to doubt its replicas yet.
                assert await settled(other.accept(event)) == [StoreUnavailable]
            finally:
                replica.send_signal(signal.SIGCONT)

    asyncio.run(play())

    assert reasons(caplog).splitlines().count("1 replicas must have it on disk, and 0 reported it") == 2


def test_a_store_that_has_not_written_to_its_own_disk_is_named() -> None:
    assert missing_replicas([0, 2], 2).startswith("the store must have it on its own disk")


@pytest.mark.parametrize(
    ("acknowledged", "needed", "is_missing"),
    [
        pytest.param([1, 1], 1, False, id="enough"),
        pytest.param([1, 3], 2, False, id="more than enough"),
        pytest.param([1, 1], 2, True, id="one of two"),
        pytest.param([0, 2], 2, True, id="not on our own disk"),
        pytest.param(Exception("ERR"), 1, True, id="an error"),
        pytest.param([], 1, True, id="nothing"),
        pytest.param([b"1", b"1"], 1, True, id="no numbers"),
    ],
)
def test_acknowledgements_are_counted(acknowledged: object, needed: int, *, is_missing: bool) -> None:
    assert bool(missing_replicas(acknowledged, needed)) is is_missing
