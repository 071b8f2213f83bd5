"""The endpoint: durable responses per second, beside an endpoint that stores nothing and a straightforward receiver."""

import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import click
import redis
import redis.asyncio
import uvloop

from bench import figures
from bench.chart import draw
from bench.load import BODY_BYTES, Measured, measure
from bench.machine import ROOT, empty, listens, start_python
from harness.stack import Stack, free_port, wait_until
from surehook.ingest.store.connection import pack
from surehook.shared.embedded import socket_path
from surehook.shared.keys import Keys

CONNECTIONS = (1, 32, 128)
ROUNDS = {"always": 7, "everysec": 3, "no AOF": 3}  # most for the store that we promise
ROUND_SECONDS = 1.0
WARM_UP_SECONDS = 0.5
LONE_WRITES = 300
LONE_ROUNDS = 5
HEADING = ("what", "store", "connections", "requests/s", "p50 ms", "p99 ms")
# Name, appendonly, appendfsync. We promise durability for the first.
STORES = (("always", "yes", "always"), ("everysec", "yes", "everysec"), ("no AOF", "no", "everysec"))
EMPTY, OURS, LOOP, THREADS = (
    "empty Starlette endpoint",
    "surehook ingest",
    "Queue.enqueue, loop",
    "Queue.enqueue, threads",
)
PICTURE = ROOT / "docs" / "endpoint.svg"
PICTURED = 32


@dataclass(frozen=True, slots=True)
class Side:
    """One of the compared endpoints; `is_ours` for Surehook."""

    name: str
    port: int
    is_ours: bool = False


def run(stack: Stack) -> None:
    """Measure and print, and draw the picture for the docs."""
    click.echo(
        f"endpoint: {BODY_BYTES} byte bodies, an id each, rounds of {ROUND_SECONDS:g} s in turn; "
        "median (lowest to highest); ratios of neighbours\n"
    )
    # The first requires a durable store; the second accepts any, for the other rows.
    endpoints = {True: Side(OURS, stack.port, is_ours=True), False: Side(OURS, free_port(), is_ours=True)}
    stack.start_ingest()
    unsafe = {"SUREHOOK_BIND": f"127.0.0.1:{endpoints[False].port}", "SUREHOOK_METRICS_BIND": "off"}
    stack.surehook("ingest", SUREHOOK_DURABILITY="memory", **unsafe)
    nothing = Side(EMPTY, _start_app(stack, "bench.empty:app"))
    plain = [
        Side(LOOP, _start_app(stack, "bench.straightforward:loop_app")),
        Side(THREADS, _start_app(stack, "bench.straightforward:threads_app")),
    ]
    wait_until(lambda: listens(endpoints[False].port), "the second endpoint listens")
    for side in (*endpoints.values(), nothing, *plain):
        measure(side.port, max(CONNECTIONS), WARM_UP_SECONDS)
    rows: list[Sequence[str]] = [HEADING]
    speeds: dict[tuple[str, str, int], list[float]] = {}
    for store_name, appendonly, appendfsync in STORES:
        _set_up(stack, appendonly, appendfsync)
        sides = [nothing, endpoints[store_name == STORES[0][0]], *plain]
        for connections in CONNECTIONS:
            rounds = _in_turn(stack, sides, connections, ROUNDS[store_name])
            for side, measured in rounds.items():
                speeds[side.name, store_name, connections] = [each.per_second for each in measured]
                rows.append(_row(side.name, store_name, connections, measured))
    _set_up(stack, *STORES[0][1:])
    click.echo(figures.table(rows))
    click.echo("\n".join(("", *_ratios(speeds), _lone(stack, endpoints[True], nothing))))
    draw(PICTURE, f"requests/s, {PICTURED} connections, every answer after its fsync", [
        (EMPTY + " (stores nothing)", median(speeds[EMPTY, "always", PICTURED])),
        (OURS, median(speeds[OURS, "always", PICTURED])),
        ("Queue.enqueue in threads", median(speeds[THREADS, "always", PICTURED])),
        ("Queue.enqueue on the loop", median(speeds[LOOP, "always", PICTURED])),
    ])  # fmt: skip


def _in_turn(stack: Stack, sides: Sequence[Side], connections: int, count: int) -> dict[Side, list[Measured]]:
    rounds: dict[Side, list[Measured]] = {side: [] for side in sides}
    for _ in range(count):
        for side in sides:
            rounds[side].append(_measure(stack, side, connections))
    return rounds


def _measure(stack: Stack, side: Side, connections: int) -> Measured:
    """Measures a round on an empty store. Our endpoint may answer only 202: a fast refusal is no acknowledgement."""
    with stack.redis() as store:
        empty(store)
        measured = measure(side.port, connections, ROUND_SECONDS)
        stored = int(store.hget(Keys().ledger, "accepted") or 0)
    if side.is_ours and measured.statuses != {"202": stored}:
        raise SystemExit(f"the endpoint answered {measured.statuses} and stored {stored}: these figures are void")
    return measured


def _ratios(speeds: dict[tuple[str, str, int], list[float]]) -> list[str]:
    lines = []
    for connections in CONNECTIONS:
        ours = speeds[OURS, "always", connections]
        for other in (EMPTY, THREADS):
            ratio = figures.ratio(ours, speeds[other, "always", connections])
            lines.append(f"ratio, always, connections {connections}: surehook ingest / {other}: {ratio}")
    return lines


def _lone(stack: Stack, ingest: Side, nothing: Side) -> str:
    """Measures a single request and its parts: rounds alternate between the endpoint and a bare write."""
    took: dict[str, list[float]] = {"ours": [], "nothing": [], "relay": [], "write": [], "client": []}
    relay = free_port()
    start_python(stack, ROOT, "-m", "bench.forwarder", str(socket_path(stack.data)), str(relay))
    wait_until(lambda: listens(relay), "the relay listens")
    for _ in range(LONE_ROUNDS):
        took["nothing"].append(measure(nothing.port, 1, ROUND_SECONDS).p50_ms)
        took["relay"].append(measure(relay, 1, ROUND_SECONDS).p50_ms)
        took["write"].append(_write_ms(stack))
        took["client"].append(uvloop.run(_client_write_ms(stack)))
        took["ours"].append(measure(ingest.port, 1, ROUND_SECONDS).p50_ms)
    with stack.redis() as store:
        script = store.info("commandstats")["cmdstat_evalsha"]["usec_per_call"] / 1000
    lone, endpoint, relayed, write, client = (median(each) for each in took.values())
    to_write, to_client = (figures.ratio(took["ours"], took[name]) for name in ("write", "client"))
    relay_to_write = figures.ratio(took["relay"], took["write"])
    ours = lone - write - endpoint - script
    return (
        f"a lone request, p50: {lone:.2f} ms; the empty endpoint: {endpoint:.2f} ms\n"
        f"one fsynced write of {BODY_BYTES} bytes to the same store, from a bare socket: {write:.2f} ms; the request "
        f"takes {to_write} times that, {lone / (write + endpoint):.2f} times it and the empty endpoint together\n"
        f"the least that an endpoint on uvloop can take, bytes in, that write, bytes out, no HTTP: {relayed:.2f} ms, "
        f"{relay_to_write} times the bare write\n"
        f"the same write through redis.asyncio on uvloop, as an endpoint would make it: {client:.2f} ms; the request "
        f"takes {to_client} times that\n"
        f"of the request {write:.2f} ms are a bare write, {endpoint:.2f} an empty endpoint's HTTP, {script:.2f} the "
        f"script in the store; {ours:.2f} are ours: authentication, parsing, packing, counting"
    )


def _write_ms(stack: Stack) -> float:
    """Returns the median of single SETs of the body's size, packed in advance, on their own socket."""
    took = []
    with socket.socket(socket.AF_UNIX) as connection, stack.redis() as store:
        connection.connect(str(socket_path(stack.data)))
        for number in range(LONE_WRITES):
            packed = pack(("SET", f"lone:{number}", b"x" * BODY_BYTES))
            began = time.perf_counter()
            connection.sendall(packed)
            connection.recv(64)
            took.append(time.perf_counter() - began)
        store.config_resetstat()
    return median(took) * 1000


async def _client_write_ms(stack: Stack) -> float:
    took = []
    async with redis.asyncio.Redis(unix_socket_path=str(socket_path(stack.data)), protocol=2) as store:
        for number in range(LONE_WRITES):
            began = time.perf_counter()
            await store.set(f"lone:{number}", b"x" * BODY_BYTES)
            took.append(time.perf_counter() - began)
    return median(took) * 1000


def _set_up(stack: Stack, appendonly: str, appendfsync: str) -> None:
    with stack.redis() as store:
        store.config_set("appendfsync", appendfsync)
        store.config_set("appendonly", appendonly)
        _wait_for_rewrite(store)
    if appendfsync == "always":
        wait_until(stack.is_ready, "the endpoint is ready")


def _wait_for_rewrite(store: redis.Redis) -> None:
    wait_until(lambda: not store.info("persistence")["aof_rewrite_in_progress"], "the append-only file is written")


def _start_app(stack: Stack, app: str) -> int:
    port = free_port()
    options = ("--port", str(port), "--loop", "uvloop", "--http", "httptools", "--no-access-log")
    stack.environ["BENCH_STORE"] = f"unix://{socket_path(stack.data)}"
    start_python(stack, ROOT, "-m", "uvicorn", app, "--log-level", "warning", *options)
    wait_until(lambda: listens(port), f"{app} listens")
    return port


def _row(what: str, store: str, connections: int, rounds: Sequence[Measured]) -> Sequence[str]:
    return (
        what,
        store,
        str(connections),
        figures.rate([each.per_second for each in rounds]),
        f"{median(each.p50_ms for each in rounds):.2f}",
        f"{median(each.p99_ms for each in rounds):.2f}",
    )
