"""The door: durable answers a second, against an endpoint that stores nothing."""

import socket
from collections.abc import Sequence
from statistics import median

import click

from bench import figures
from bench.load import BODY_BYTES, Measured, measure
from bench.machine import ROOT, empty, start_python
from shared.keys import Keys
from tests.support.house import API_KEY, House, free_port, wait_until

CONNECTIONS = (1, 32)
ROUNDS = 3
ROUND_SECONDS = 2.0
WARM_UP_SECONDS = 0.5
HEADING = ("what", "connections", "requests/s", "p50 ms", "p99 ms")


def run(house: House) -> None:
    """Measure and print."""
    click.echo(
        f"\ndoor: {BODY_BYTES} byte bodies, an id each, {ROUNDS} rounds of {ROUND_SECONDS:g} s in turn; "
        "median (lowest to highest)"
    )
    empty_port = _start_empty_endpoint(house)
    house.start_ingest()
    for port in (empty_port, house.port):
        measure(port, API_KEY, max(CONNECTIONS), WARM_UP_SECONDS)
    rows: list[Sequence[str]] = [HEADING]
    ratios = []
    accepted = 0
    for connections in CONNECTIONS:
        baseline, ours = [], []
        for _ in range(ROUNDS):
            baseline.append(measure(empty_port, API_KEY, connections, ROUND_SECONDS))
            ours.append(_measure_door(house, connections))
        rows += [
            _row(connections, "empty Starlette endpoint", baseline),
            _row(connections, "surehook ingest, fsync always", ours),
        ]
        speeds = [[each.per_second for each in rounds] for rounds in (ours, baseline)]
        ratios.append(f"ratio, connections {connections}: {figures.ratio(*speeds)}")
        accepted += sum(each.answers for each in ours)
    click.echo(figures.table(rows))
    click.echo("\n".join(ratios))
    click.echo(f"checked: all {accepted:,} answers of surehook ingest were 202, and as many events are on the ledger")


def _start_empty_endpoint(house: House) -> int:
    port = free_port()
    options = ("--port", str(port), "--loop", "uvloop", "--http", "httptools", "--no-access-log")
    start_python(house, ROOT, "-m", "uvicorn", "bench.empty:app", "--log-level", "warning", *options)
    wait_until(lambda: _listens(port), "the empty endpoint listens")
    return port


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _measure_door(house: House, connections: int) -> Measured:
    """A round on an empty store. A fast refusal is no acknowledgement, so nothing but 202 counts."""
    with house.redis() as store:
        empty(store)
        measured = measure(house.port, API_KEY, connections, ROUND_SECONDS)
        stored = int(store.hget(Keys().ledger, "accepted") or 0)
    if measured.statuses != {"202": stored}:
        raise SystemExit(f"the door answered {measured.statuses} and stored {stored}: these figures are void")
    return measured


def _row(connections: int, what: str, rounds: Sequence[Measured]) -> Sequence[str]:
    return (
        what,
        str(connections),
        figures.rate([each.per_second for each in rounds]),
        f"{median(each.p50_ms for each in rounds):.2f}",
        f"{median(each.p99_ms for each in rounds):.2f}",
    )
