"""Fuzzes the whole endpoint: uvicorn's protocol, the app, authentication and a real store, without a network.

    python -m tests.support.fuzzing --seconds 600 --seed 1

Only genuinely signed deliveries may be accepted, no status may be 5xx, and no exception may escape.
"""

import argparse
import asyncio
import logging
import re
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, cast

import click
import redis
import uvicorn
from starlette.types import Message
from uvicorn.server import ServerState

from harness.signing import SECRET, jwks
from surehook.ingest.app import create_app
from surehook.ingest.endpoint import WebhookEndpoint
from surehook.ingest.http.fast_path import Delivery, FastPath
from surehook.ingest.http.protocol import protocol_for
from surehook.ingest.limits import Limits
from surehook.ingest.metrics import IngestMetrics
from surehook.shared.embedded import socket_path, start_server, stop_server
from surehook.shared.settings import Settings
from tests.support.forged_tokens import AUTHORIZATION, TRUSTED_KEYS, Forger
from tests.support.jwks_server import jwks_server
from tests.support.oracles.authentication import AuthenticationOracle

STATUS_LINE = re.compile(rb"HTTP/1\.1 (\d{3}) ")
READY_TRIES = 500


class FakeTransport(asyncio.Transport):
    """A transport without a network; it keeps what the server sends."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.has_ended = False
        self._is_closed = False

    def write(self, data: Any) -> None:
        self.sent += bytes(data)

    def close(self) -> None:
        self._is_closed = True

    def abort(self) -> None:
        self._is_closed = True

    def is_closing(self) -> bool:
        return self._is_closed

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.has_ended = True

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


async def fuzz(settings: Settings, seed: int, *, seconds: float = 0, count: int = 0) -> tuple[Counter[str], list[str]]:
    """Sends `count` deliveries, or as many as fit in `seconds`. Returns the count of each status, and the failures."""
    forger = Forger(seed)
    limits = Limits(settings)
    fast_path = FastPath(settings.webhook_path)
    app = create_app(settings, IngestMetrics(), limits, fast_path)
    oracle = AuthenticationOracle(app, forger)
    http = protocol_for(limits, lambda _: None, fast_path)
    config = uvicorn.Config(oracle, http=http, ws="none", log_config=None, access_log=False, server_header=False)
    statuses: Counter[str] = Counter()
    async with app.router.lifespan_context(app):
        await _until_ready(app)
        oracle.endpoint, fast_path.endpoint = fast_path.endpoint, cast(WebhookEndpoint, oracle)
        ends_at = time.monotonic() + seconds
        while (sum(statuses.values()) < count) if count else (time.monotonic() < ends_at):
            request = forger.delivery()
            sent = await _deliver(config, forger.pieces(request))
            found = [status.decode() for status in STATUS_LINE.findall(sent)] or ["connection closed"]
            statuses.update(found[:1])
            if any(status.startswith("5") for status in found):
                oracle.failures.append(f"{found} for {request[:2000]!r}")
            if len(forger.signed) > 100_000:
                forger.signed.clear()
    if not oracle.fast_path_requests:
        oracle.failures.append("no request took the fast path")
    return statuses, oracle.failures


async def _deliver(config: uvicorn.Config, pieces: list[bytes]) -> bytes:
    state = ServerState()
    make: Any = config.http
    protocol = make(config, state, {})
    transport = FakeTransport()
    protocol.connection_made(transport)
    for piece in pieces:
        if not protocol.transport.is_closing():
            protocol.data_received(piece)
        await asyncio.sleep(0)
    while _is_under_way(protocol) and not protocol.transport.is_closing():  # noqa: ASYNC110 - the store has no event to await
        await asyncio.sleep(0)
    tasks = list(state.tasks)
    if tasks and protocol.cycle is not None and protocol.cycle.more_body:
        await asyncio.wait(tasks, timeout=0)  # the app waits for the rest of a body that never comes
        protocol.connection_lost(None)
    if tasks:
        await asyncio.wait(tasks)
    await asyncio.sleep(0)  # head and body of a response are written together, one turn of the loop later
    protocol.connection_lost(None)
    return transport.sent


def _is_under_way(protocol: Any) -> bool:
    """Returns True while a request is on the fast path, which has no task to wait for."""
    is_fast = isinstance(protocol.cycle, Delivery)
    return bool(protocol.pipeline) or (is_fast and not protocol.cycle.response_complete)


async def _until_ready(app: Any) -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/readyz", "headers": [], "query_string": b"", "root_path": ""}
    for _ in range(READY_TRIES):
        await app(scope, receive, send)
        if sent[-2]["status"] == 200:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the endpoint does not get ready")


def settings_for(folder: Path, jwks_url: str) -> Settings:
    """Returns settings that require every kind of authentication, with every kind of key."""
    pem_signers = [each for each in TRUSTED_KEYS if each.algorithm in ("RS256", "ES256")]
    (folder / "key.pem").write_text("".join(each.public_pem() for each in pem_signers))
    return Settings(
        data_dir=folder,
        metrics_bind="off",
        api_keys=(AUTHORIZATION,),
        required_header=("X-Team: red",),
        signing_secrets=("another-secret-that-is-long-enough-too", SECRET),
        signing_public_keys=(str(folder / "key.pem"),),
        jwks_url=jwks_url,
    )


def stored(store: redis.Redis) -> int:
    return sum(1 for _ in store.scan_iter("surehook:event:*"))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.support.fuzzing")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="surehook-") as name, jwks_server() as fusionauth:
        folder = Path(name)
        fusionauth.document = jwks(*(each for each in TRUSTED_KEYS if not isinstance(each.key, bytes)))
        server = start_server(folder)
        try:
            statuses, failures = asyncio.run(
                fuzz(settings_for(folder, fusionauth.url), chosen.seed, seconds=chosen.seconds)
            )
            with redis.Redis(unix_socket_path=str(socket_path(folder))) as store:
                events = stored(store)
        finally:
            stop_server(server)
    click.echo(
        f"{sum(statuses.values()):,} deliveries, answered {dict(statuses.most_common())}; {events:,} events stored"
    )
    click.echo("\n".join(failures[:20]) or "no failures")
    raise SystemExit(bool(failures))


if __name__ == "__main__":
    main()
