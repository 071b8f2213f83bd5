"""The published keys: when and how often they are fetched, and which are kept after a failure."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from harness.signing import Signer, jwks, signer
from surehook.ingest.auth.jwks import FetchFailed, Jwks
from surehook.ingest.metrics import IngestMetrics

ONE, TWO = signer("RS256", "one"), signer("ES256", "two")


class JwksServer:
    """FusionAuth's JWKS and the endpoint's cache of it, on a clock that the test moves."""

    def __init__(self, *signers: Signer, pinned: tuple[str, ...] = (), is_only_source: bool = True) -> None:
        self.published = list(signers)
        self.is_down = False
        self.fetches = 0
        self.now = 1000.0
        self.gate: Callable[[], Awaitable[object]] | None = None
        self.metrics = IngestMetrics()
        options = {"pinned": pinned, "is_only_source": is_only_source}
        self.jwks = Jwks(self._fetch, self.metrics, clock=lambda: self.now, **options)  # type: ignore[arg-type]

    async def _fetch(self) -> bytes:
        self.fetches += 1
        published = list(self.published)
        if self.gate is not None:
            await self.gate()
        if self.is_down:
            raise FetchFailed("down")
        return jwks(*published)

    async def knows(self, signer: Signer) -> bool:
        return bool(await self.jwks.find(signer.kid or ""))

    def metric(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, labels)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - only lets the others run
            await asyncio.sleep(0)


def test_the_first_delivery_brings_the_keys() -> None:
    async def scenario() -> None:
        jwks_server = JwksServer(ONE)
        assert not jwks_server.jwks.is_ready
        assert jwks_server.metric("surehook_not_ready", reason="no_signing_keys") == 1

        assert await jwks_server.knows(ONE)

        assert jwks_server.jwks.is_ready
        assert jwks_server.metric("surehook_not_ready", reason="no_signing_keys") == 0
        assert jwks_server.metric("surehook_jwks_keys") == 1

    asyncio.run(scenario())


def test_unknown_keys_cause_at_most_one_fetch_in_ten_seconds() -> None:
    async def scenario() -> None:
        jwks_server = JwksServer(ONE)
        assert await jwks_server.knows(ONE)
        jwks_server.now += 10

        for _ in range(50):
            assert not await jwks_server.knows(TWO)
            jwks_server.now += 0.1
        assert jwks_server.fetches == 2

        jwks_server.published.append(TWO)
        assert not await jwks_server.knows(TWO)
        jwks_server.now += 5
        assert await jwks_server.knows(TWO)
        assert jwks_server.fetches == 3

    asyncio.run(scenario())


def test_concurrent_lookups_share_one_fetch() -> None:
    async def scenario() -> None:
        jwks_server = JwksServer(ONE)

        assert all(await asyncio.gather(*(jwks_server.knows(ONE) for _ in range(100))))

        assert jwks_server.fetches == 1

    asyncio.run(scenario())


def test_a_fetch_that_began_before_the_key_was_published_is_followed_by_another() -> None:
    async def scenario() -> None:
        jwks_server = JwksServer(ONE)
        may_continue = asyncio.Event()
        jwks_server.gate = may_continue.wait
        running = asyncio.create_task(jwks_server.jwks.run())
        await until(lambda: jwks_server.fetches > 0)

        jwks_server.published.append(TWO)
        lookup = asyncio.create_task(jwks_server.knows(TWO))
        await asyncio.sleep(0)
        may_continue.set()

        assert await lookup
        assert jwks_server.fetches == 2
        running.cancel()

    asyncio.run(scenario())


def test_deliveries_that_wait_for_a_fetch_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("surehook.ingest.auth.jwks.MAX_WAITERS", 3)

    async def scenario() -> None:
        jwks_server = JwksServer(ONE)
        may_continue = asyncio.Event()
        jwks_server.gate = may_continue.wait
        lookup = [asyncio.create_task(jwks_server.knows(ONE)) for _ in range(10)]
        await until(lambda: sum(task.done() for task in lookup) == 7)
        may_continue.set()

        assert sum(await asyncio.gather(*lookup)) == 3

    asyncio.run(scenario())


def test_waiting_for_a_fetch_that_hangs_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("surehook.ingest.auth.jwks.WAIT_SECONDS", 0.01)

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        jwks_server = JwksServer(ONE)
        jwks_server.jwks = Jwks(jwks_server._fetch, jwks_server.metrics, clock=loop.time)  # noqa: SLF001 - on a real clock
        jwks_server.gate = asyncio.Event().wait

        assert not await jwks_server.knows(ONE)

    asyncio.run(scenario())


def test_fetched_keys_stay_in_use_during_an_outage() -> None:
    async def scenario() -> None:
        jwks_server = JwksServer(ONE)
        assert await jwks_server.knows(ONE)
        jwks_server.is_down = True
        for _ in range(20):
            jwks_server.now += 3600
            assert not await jwks_server.knows(TWO)

        assert await jwks_server.knows(ONE)
        assert jwks_server.jwks.is_ready
        assert jwks_server.metric("surehook_jwks_fetches_total", outcome="failed") == 20

    asyncio.run(scenario())


def test_an_unexpected_error_while_fetching_is_logged_and_keeps_the_keys(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise RuntimeError

    async def scenario() -> None:
        jwks_server = JwksServer(ONE)
        assert await jwks_server.knows(ONE)
        jwks_server.now += 10
        jwks_server.gate = fail
        assert not await jwks_server.knows(TWO)
        assert await jwks_server.knows(ONE)

    asyncio.run(scenario())

    assert [record.__dict__["reason"] for record in caplog.records if record.levelname == "WARNING"] == ["RuntimeError"]


@pytest.mark.parametrize("published", [[], [signer("HS256")]], ids=["nothing", "no usable key"])
def test_an_empty_document_changes_nothing(published: list[Signer], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Signer, "jwk", lambda self: {"kid": self.kid, "kty": "oct"} if self in published else {})

    async def scenario() -> None:
        jwks_server = JwksServer()
        jwks_server.jwks._keys = {"one": ()}  # noqa: SLF001 - as after a good fetch
        jwks_server.published = published
        await jwks_server.knows(TWO)

        assert jwks_server.jwks.has_keys

    asyncio.run(scenario())


def test_a_key_that_is_no_longer_published_is_dropped() -> None:
    async def scenario() -> None:
        jwks_server = JwksServer(ONE, TWO)
        assert await jwks_server.knows(ONE)
        jwks_server.published.remove(ONE)
        jwks_server.now += 10
        await jwks_server.knows(signer("RS256", "another"))  # brings the new document

        assert not await jwks_server.knows(ONE)

    asyncio.run(scenario())


def test_keys_that_are_not_pinned_are_not_kept() -> None:
    async def scenario() -> None:
        jwks_server = JwksServer(ONE, TWO, pinned=("two",))

        assert await jwks_server.knows(TWO)
        assert not await jwks_server.knows(ONE)

    asyncio.run(scenario())


def test_an_outage_at_the_start_does_not_matter_with_keys_from_the_settings() -> None:
    async def scenario() -> None:
        jwks_server = JwksServer(is_only_source=False)

        assert jwks_server.jwks.is_ready
        assert jwks_server.metric("surehook_not_ready", reason="no_signing_keys") == 0

    asyncio.run(scenario())
