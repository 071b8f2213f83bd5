"""Transactional handlers: a refusal and a success beside a durable 202, at the same endpoint in the same run."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

import click

from bench import figures
from bench.load import Measured, measure
from bench.machine import empty
from harness.processes import cpu_seconds_of, serving_processes_of
from harness.stack import Stack, wait_until
from surehook.shared.keys import TRANSACTIONAL_QUEUE, Keys

CONNECTIONS = (1, 32, 128)
ROUNDS = 5
ROUND_SECONDS = 2.0
WARM_UP_SECONDS = 0.5
PROCESSES, THREADS = 2, 8
STUCK_CONNECTIONS, STUCK_SECONDS, TIMEOUT_SECONDS = 200, 8.0, 1.5
STORED, REFUSED, COMPLETED, STUCK = "user.create.complete", "user.delete", "user.create", "user.update"
EXPECTED = {STORED: "202", REFUSED: "422", COMPLETED: "200"}
NAMES = {STORED: "stored, 202", REFUSED: "refused, 422", COMPLETED: "completed, 200"}
HANDLERS = f"""
from surehook import Reject

@on("{REFUSED}", transactional=True)
def refuse(event): raise Reject("no")

@on("{COMPLETED}", transactional=True)
def agree(event): pass

@on("{STUCK}", transactional=True)
def stick(event): time.sleep(60)
"""
TRANSACTIONAL = {"SUREHOOK_TRANSACTIONAL_EVENTS": f"{REFUSED},{COMPLETED},{STUCK}", "SUREHOOK_LOG_LEVEL": "WARNING"}
HEADING = (
    "what",
    "connections",
    "answers/s",
    "other",
    "p50 ms",
    "p99 ms",
    "CPU µs an answer: ingest",
    "worker",
    "store",
)


@dataclass(frozen=True, slots=True)
class Round:
    """One round: its answers, and the CPU seconds that the endpoint, the workers and the store took for them."""

    measured: Measured
    expected: str
    cpu_seconds: Sequence[float]

    @property
    def answers(self) -> int:
        return self.measured.statuses[self.expected]

    @property
    def per_second(self) -> float:
        return self.answers / self.measured.seconds

    @property
    def others(self) -> int:
        """The answers of another status: a busy machine may miss a deadline or a heartbeat."""
        return self.measured.answers - self.answers

    @property
    def p50_ms(self) -> float:
        return self.measured.p50_ms

    @property
    def p99_ms(self) -> float:
        return self.measured.p99_ms


def run(stack: Stack) -> None:
    """Measure and print."""
    stack.write_handlers(HANDLERS)
    ingest = stack.start_ingest(**TRANSACTIONAL)
    worker = stack.start_worker(
        "--queue", "transactional", "--processes", str(PROCESSES), "--threads", str(THREADS), **TRANSACTIONAL
    )
    wait_until(
        lambda: measure(stack.port, 1, WARM_UP_SECONDS, bodies=COMPLETED).statuses.keys() == {"200"}, "workers live"
    )
    click.echo(
        f"\ntransactional: a handler that does nothing, {PROCESSES} worker processes of {THREADS} threads, {ROUNDS} "
        f"rounds of {ROUND_SECONDS:g} s in turn; median (lowest to highest)"
    )
    parts = ([ingest.pid], serving_processes_of(worker.pid), [stack.server.pid])
    rows: list[Sequence[str]] = [HEADING]
    ratios = []
    for connections in CONNECTIONS:
        measured: dict[str, list[Round]] = {event_type: [] for event_type in EXPECTED}
        for _ in range(ROUNDS):
            for event_type, rounds in measured.items():
                rounds.append(_round(stack, connections, event_type, parts))
        for event_type, rounds in measured.items():
            rows.append(_row(connections, NAMES[event_type], rounds))
        for event_type in (REFUSED, COMPLETED):
            for name, words in (("p50_ms", "p50"), ("p99_ms", "p99"), ("per_second", "answers a second")):
                ours, base = ([getattr(each, name) for each in measured[which]] for which in (event_type, STORED))
                what = f"{NAMES[event_type]} / {NAMES[STORED]}, {words}, connections {connections}"
                ratios.append(f"ratio, {what}: {figures.ratio(ours, base)}")
    click.echo(figures.table(rows))
    click.echo("\n".join(ratios))
    _stuck(stack)


def _stuck(stack: Stack) -> None:
    """Measures the wait for a 504 while every worker is in a handler that does not end."""
    measured = measure(stack.port, STUCK_CONNECTIONS, STUCK_SECONDS, bodies=STUCK)
    late = measured.p999_ms - TIMEOUT_SECONDS * 1000
    others = {status: count for status, count in measured.statuses.items() if status != "504"}
    click.echo(
        f"all workers stuck, {STUCK_CONNECTIONS} connections: {measured.answers:,} answers, "
        f"{', '.join(f'{count} of them {status}' for status, count in others.items()) or 'all of them 504'}, "
        f"p50 {measured.p50_ms:,.0f} ms, p99.9 {measured.p999_ms:,.0f} ms: the timeout plus {late:,.0f} ms"
    )


def _round(stack: Stack, connections: int, event_type: str, parts: Sequence[Iterable[int]]) -> Round:
    """Measures a round on an empty store. `parts`: the processes of the endpoint, the workers and the store."""
    with stack.redis() as store:
        empty(store)
    wait_until(lambda: _has_workers(stack), "the workers have sent a heartbeat")
    before = cpu_seconds_of(parts)
    measured = measure(stack.port, connections, ROUND_SECONDS, bodies=event_type)
    spent = [after - earlier for after, earlier in zip(cpu_seconds_of(parts), before, strict=True)]
    if EXPECTED[event_type] not in measured.statuses:
        raise SystemExit(f"{event_type} was answered {measured.statuses}: these figures are void")
    return Round(measured, EXPECTED[event_type], spent)


def _has_workers(stack: Stack) -> bool:
    with stack.redis() as store:
        return int(store.zcard(Keys().available(TRANSACTIONAL_QUEUE))) >= PROCESSES


def _row(connections: int, what: str, rounds: list[Round]) -> Sequence[str]:
    took = [[1e6 * seconds / each.answers for seconds in each.cpu_seconds] for each in rounds]
    return (
        what,
        str(connections),
        figures.rate([each.per_second for each in rounds]),
        str(sum(each.others for each in rounds)),
        f"{median(each.p50_ms for each in rounds):.2f}",
        f"{median(each.p99_ms for each in rounds):.2f}",
        *(f"{median(part):.0f}" for part in zip(*took, strict=True)),
    )
