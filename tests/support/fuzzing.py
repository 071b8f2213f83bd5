"""The forger against the whole door: uvicorn's protocol, the app, the proof and a real store, without a network.

    python -m tests.support.fuzzing --seconds 600 --seed 1

Nothing but what was genuinely signed may be accepted, no answer may be 5xx, and no exception may get out.
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
from tests.support.forged_tokens import AUTHORIZATION, HELD, Forger
from tests.support.jwks_server import publisher
from tests.support.oracles.handling import Judge

ANSWER = re.compile(rb"HTTP/1\.1 (\d{3}) ")
READY_TRIES = 500


class Wire(asyncio.Transport):
    """The other end of a connection that is none."""

    def __init__(self) -> None:
        super().__init__()
        self.said = b""
        self._is_closed = False

    def write(self, data: Any) -> None:
        self.said += bytes(data)

    def close(self) -> None:
        self._is_closed = True

    def abort(self) -> None:
        self._is_closed = True

    def is_closing(self) -> bool:
        return self._is_closed

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


async def attack(
    settings: Settings, seed: int, *, seconds: float = 0, count: int = 0
) -> tuple[Counter[str], list[str]]:
    """So many deliveries, or for so long. Returns how often each status was answered, and what must not be."""
    forger = Forger(seed)
    bounds = Limits(settings)
    entrance = FastPath(settings.webhook_path)
    app = create_app(settings, IngestMetrics(), bounds, entrance)
    judge = Judge(app, forger)
    http = protocol_for(bounds, lambda _: None, entrance)
    config = uvicorn.Config(judge, http=http, ws="none", log_config=None, access_log=False, server_header=False)
    answers: Counter[str] = Counter()
    async with app.router.lifespan_context(app):
        await _until_ready(app)
        judge.door, entrance.endpoint = entrance.endpoint, cast(WebhookEndpoint, judge)
        ends_at = time.monotonic() + seconds
        while (sum(answers.values()) < count) if count else (time.monotonic() < ends_at):
            wire = forger.delivery()
            said = await _deliver(config, forger.pieces(wire))
            statuses = [status.decode() for status in ANSWER.findall(said)] or ["hung up"]
            answers.update(statuses[:1])
            if any(status.startswith("5") for status in statuses):
                judge.failures.append(f"{statuses} for {wire[:2000]!r}")
            if len(forger.signed) > 100_000:
                forger.signed.clear()
    if not judge.begun:
        judge.failures.append("nothing took the short way")
    return answers, judge.failures


async def _deliver(config: uvicorn.Config, pieces: list[bytes]) -> bytes:
    state = ServerState()
    make: Any = config.http
    protocol = make(config, state, {})
    wire = Wire()
    protocol.connection_made(wire)
    for piece in pieces:
        if not wire.is_closing():
            protocol.data_received(piece)
        await asyncio.sleep(0)
    while _is_under_way(protocol) and not wire.is_closing():  # noqa: ASYNC110 - as many turns as the store takes
        await asyncio.sleep(0)
    tasks = list(state.tasks)
    if tasks and protocol.cycle is not None and protocol.cycle.more_body:
        await asyncio.wait(tasks, timeout=0)  # it waits for the rest of a body that never comes
        protocol.connection_lost(None)
    if tasks:
        await asyncio.wait(tasks)
    await asyncio.sleep(0)  # an answer's head and body leave together, a turn later
    protocol.connection_lost(None)
    return wire.said


def _is_under_way(protocol: Any) -> bool:
    """By the short way, of which no task tells."""
    is_short = isinstance(protocol.cycle, Delivery)
    return bool(protocol.pipeline) or (is_short and not protocol.cycle.response_complete)


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
    raise AssertionError("the door does not get ready")


def settings_for(folder: Path, jwks_url: str) -> Settings:
    """Every kind of proof at once, and every kind of key."""
    (folder / "key.pem").write_text("".join(each.public_pem() for each in HELD if each.algorithm in ("RS256", "ES256")))
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
    with tempfile.TemporaryDirectory(prefix="surehook-") as name, publisher() as fusionauth:
        folder = Path(name)
        fusionauth.document = jwks(*(each for each in HELD if not isinstance(each.key, bytes)))
        server = start_server(folder)
        try:
            answers, failures = asyncio.run(
                attack(settings_for(folder, fusionauth.url), chosen.seed, seconds=chosen.seconds)
            )
            with redis.Redis(unix_socket_path=str(socket_path(folder))) as store:
                events = stored(store)
        finally:
            stop_server(server)
    click.echo(
        f"{sum(answers.values()):,} deliveries, answered {dict(answers.most_common())}; {events:,} events stored"
    )
    click.echo("\n".join(failures[:20]) or "nothing was found")
    raise SystemExit(bool(failures))


if __name__ == "__main__":
    main()
