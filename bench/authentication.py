"""Authentication: the cost of each kind, compared in the same rounds with an endpoint that requires none."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import click

from bench import figures
from bench.auth_kinds import KINDS
from bench.load import BODY_BYTES, Measured, bodies, measure, prepare, request
from bench.machine import empty, listens
from harness.processes import cpu_seconds
from harness.stack import Stack, free_port, wait_until
from surehook.ingest.auth.credentials import authenticator_from
from surehook.ingest.auth.signature import require_signed_body
from surehook.ingest.metrics import IngestMetrics
from surehook.shared.keys import Keys
from surehook.shared.settings import Settings

# Rounds by number of connections.
ROUNDS = {1: 3, 32: 7, 128: 3}
ROUND_SECONDS = 0.6
PREPARED = 5_000  # more than an endpoint answers in a round here
ALONE_TIMES = 2_000
ALONE_ROUNDS = 7
NONE = "none"
HEADING = (
    "kind", "connections", "requests/s", "p50 ms", "p99 ms",
    "CPU µs", "of none beside it", "adds µs", "alone µs",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint that requires one kind of authentication, and its prepared requests."""

    kind: str
    port: int
    pid: int
    requests: Path


@dataclass(frozen=True, slots=True)
class Round:
    """One round: the responses, and the CPU time of the ingest process for each."""

    measured: Measured
    cpu_seconds: float


def run(stack: Stack) -> None:
    """Measure and print."""
    rounds = ", ".join(f"{count} at {connections}" for connections, count in ROUNDS.items())
    click.echo(
        f"authentication: {BODY_BYTES} byte bodies, an id each, signed beforehand; each kind in turn with an endpoint\n"
        f"that requires none, rounds of {ROUND_SECONDS:g} s: {rounds} connections; median (lowest to highest).\n"
        "CPU: the ingest process, for a request, while load and store keep the other core busy; what a kind adds to\n"
        "that is the median of the differences of neighbours. alone: the authentication code, nothing else running.\n"
    )
    nothing = _start(stack, NONE)
    rows: list[Sequence[str]] = []
    without: dict[int, list[Round]] = {connections: [] for connections in ROUNDS}
    for name in KINDS:
        if name == NONE:
            continue
        endpoint = _start(stack, name)
        alone = asyncio.run(_alone_seconds(name, stack.folder))
        for connections, count in ROUNDS.items():
            pairs = [
                (_measure(stack, nothing, connections), _measure(stack, endpoint, connections)) for _ in range(count)
            ]
            without[connections] += [other for other, _ in pairs]
            rows.append((*_row(name, connections, pairs), f"{alone * 1_000_000:.0f}"))
    bare = [(*_figures(NONE, connections, rounds), "", "", "") for connections, rounds in without.items()]
    click.echo(figures.table([HEADING, *bare, *rows]))


def _start(stack: Stack, name: str) -> Endpoint:
    port = free_port()
    stack.environ.pop("SUREHOOK_API_KEYS", None)  # the kind brings its own
    environ = KINDS[name].environ(stack.folder)
    process = stack.surehook(
        "ingest", **environ, SUREHOOK_BIND=f"127.0.0.1:{port}", SUREHOOK_METRICS_BIND="off", SUREHOOK_LOG_LEVEL="ERROR"
    )
    requests = stack.folder / f"{name}.json"
    prepare(requests, PREPARED, KINDS[name])
    wait_until(lambda: listens(port), f"the endpoint with {name} listens")
    endpoint = Endpoint(name, port, process.pid, requests)
    _measure(stack, endpoint, max(ROUNDS))
    return endpoint


async def _alone_seconds(name: str, folder: Path) -> float:
    """Returns the minimum of several rounds, because other processes can only make a round longer."""
    settings = {key.removeprefix("SUREHOOK_").lower(): value for key, value in KINDS[name].environ(folder).items()}
    authenticator = authenticator_from(Settings.model_validate(settings), IngestMetrics())
    body = next(bodies())
    head, _, _ = request(body, KINDS[name]).partition(b"\r\n\r\n")
    lines = (line.partition(b": ") for line in head.split(b"\r\n")[1:])
    headers = [(name.lower(), value) for name, _, value in lines]
    took = []
    for _ in range(ALONE_ROUNDS):
        began = time.perf_counter()
        for _ in range(ALONE_TIMES):
            digest = await authenticator.authenticate(headers)
            if digest is not None:
                require_signed_body(body, digest)
        took.append((time.perf_counter() - began) / ALONE_TIMES)
    return min(took)


def _measure(stack: Stack, endpoint: Endpoint, connections: int) -> Round:
    with stack.redis() as store:
        empty(store)
        before = cpu_seconds(endpoint.pid)
        measured = measure(endpoint.port, connections, ROUND_SECONDS, prepared=endpoint.requests)
        spent = cpu_seconds(endpoint.pid) - before
        stored = int(store.hget(Keys().ledger, "accepted") or 0)
    if measured.statuses != {"202": stored}:
        raise SystemExit(f"the endpoint answered {measured.statuses} and stored {stored}: these figures are void")
    return Round(measured, spent / stored)


def _row(name: str, connections: int, pairs: Sequence[tuple[Round, Round]]) -> Sequence[str]:
    ours = [one for _, one in pairs]
    speeds, without = ([each.measured.per_second for each in side] for side in (ours, [other for other, _ in pairs]))
    added = [one.cpu_seconds - other.cpu_seconds for other, one in pairs]
    return (
        *_figures(name, connections, ours),
        figures.ratio(speeds, without).partition(" over")[0] + ")",
        f"{median(added) * 1_000_000:.0f}",
    )


def _figures(name: str, connections: int, rounds: Sequence[Round]) -> Sequence[str]:
    return (
        name,
        str(connections),
        figures.rate([each.measured.per_second for each in rounds]),
        f"{median(each.measured.p50_ms for each in rounds):.2f}",
        f"{median(each.measured.p99_ms for each in rounds):.2f}",
        f"{median(each.cpu_seconds for each in rounds) * 1_000_000:.0f}",
    )
