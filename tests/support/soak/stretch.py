"""One stretch of a soak, from the first process to the findings."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import redis

from bench.figures import table
from harness.stack import wait_until
from surehook.admin.dead_letters import DeadLetters, Filter
from surehook.admin.spool import SpoolReader
from surehook.shared.keys import Keys
from surehook.shared.settings import Settings
from surehook.shared.stats import StatsReader
from tests.support.ledger import ledger
from tests.support.soak.actors import Processes
from tests.support.soak.chaos import Chaos
from tests.support.soak.journal import FOREVER, Journal
from tests.support.soak.memory import Life, Memory
from tests.support.soak.report import Findings, examine
from tests.support.soak.senders import Senders
from tests.support.soak.stack import SoakStack
from tests.support.soak.store_watch import StoreWatch, used_bytes

QUIET_SECONDS = 300.0
# After the last fault the endpoint must accept events again.
CALM_EVENTS = 100
CALM_SECONDS = 120.0
DISCARDS_AT_ONCE = 16
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """One stretch lasts until `events` are accepted, and `seconds` at most."""

    seconds: float
    seed: int
    per_second: float
    longest_pause_seconds: float
    retention_seconds: int
    events: int | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """Everything a stretch found."""

    seconds: float
    faults: Counter[str]
    answers: Counter[str]
    lives: dict[str, list[Life]]
    findings: Findings
    store_bytes: int
    """The memory of the store when every event was closed."""

    def text(self) -> str:
        lives = [("process", "lives", "longest s", "highest MiB", "most growth MiB"), *map(_life, self.lives.items())]
        wrong = "\n".join(["WRONG:", *self.findings.wrong])
        return "\n\n".join(
            [
                counted("fault", "times", self.faults),
                counted("answer", "times", self.answers),
                counted("keys left", "count", self.findings.keys),
                table(lives),
                table([("what", "count"), *((name, f"{count:,}") for name, count in self.findings.counts.items())]),
                wrong if self.findings.wrong else "no event was lost and no key was left over",
            ]
        )


def run_stretch(folder: Path, name: str, plan: Plan, tell: Tell) -> Report:
    """Sends events, begins faults, waits until every event is closed, and reports. Discards earlier dead letters."""
    with closing(SoakStack(folder, name)) as stack, closing(Journal(folder / f"journal-{name}")) as journal:
        began = time.monotonic()
        for pid in stack.ended:
            journal.away(pid, began, FOREVER)
        if journal.accepted_before is None:
            with stack.redis() as store:
                _discard_dead_letters(store, plan.retention_seconds)
                journal.begin(ledger(store).get("accepted", 0))
        processes = Processes(stack, plan.retention_seconds)
        # An interrupted stretch goes on with other events than it began with.
        seed = f"{plan.seed} {name} {len(journal.accepted)}"
        senders = Senders(stack.port, plan.per_second, seed, journal)
        progress = _Progress(tell, journal)
        chaos = Chaos(processes, senders, seed, progress.tell)
        memory, watch = Memory(lambda: _roles(processes)), StoreWatch(stack.data, senders)
        try:
            wait_until(stack.is_ready, "ingest is ready")
            memory.start()
            watch.start()
            _send_under_faults(senders, chaos, plan, began)
            progress.tell("waiting until every event is closed")
            _wait_until_quiet(stack)
            with stack.redis() as store:
                store_bytes = used_bytes(store)
            progress.tell("quiet")
        finally:
            processes.close()
            watch.stop()
        memory.stop()
        findings = examine(stack, journal, memory.lives())
        bad = [f"{actor.name} {exit_status}" for actor in processes.actors for exit_status in actor.bad_exits]
        findings.add_fault("did not stop cleanly", bad)
        seconds = time.monotonic() - began
        return Report(seconds, journal.faults, journal.answers, memory.lives(), findings, store_bytes)


class _Progress:
    """Begins each line with the seconds and the accepted events so far."""

    def __init__(self, tell: Tell, journal: Journal) -> None:
        self._tell = tell
        self._journal = journal
        self._began = time.monotonic()

    def tell(self, words: str) -> None:
        self._tell(f"{time.monotonic() - self._began:6.1f} s  {len(self._journal.accepted):>7,} accepted  {words}")


def counted(heading: str, unit: str, counts: Counter[str]) -> str:
    return table([(heading, unit), *((name, f"{count:,}") for name, count in sorted(counts.items()))])


def _send_under_faults(senders: Senders, chaos: Chaos, plan: Plan, began: float) -> None:
    accepted = senders.journal.accepted

    def is_over() -> bool:
        return time.monotonic() - began >= plan.seconds or (plan.events is not None and len(accepted) >= plan.events)

    senders.start()
    try:
        try:
            chaos.run(is_over, plan.longest_pause_seconds, threading.Event().wait)
        finally:
            chaos.end()
        calm = len(accepted) + CALM_EVENTS
        wait_until(lambda: len(accepted) >= calm, "the endpoint accepts events again", seconds=CALM_SECONDS)
    finally:
        senders.stop()


def _discard_dead_letters(store: redis.Redis, retention_seconds: int) -> None:
    """Discards many at a time, so that one fsync is enough for all of these."""
    letters = DeadLetters(store, Keys(), retention_seconds=retention_seconds, handler_timeout=60)
    with ThreadPoolExecutor(DISCARDS_AT_ONCE) as pool:
        list(pool.map(letters.discard, letters.matching(Filter())))


def _wait_until_quiet(stack: SoakStack) -> None:
    """Waits until every open event is a dead letter and nothing waits, for as long as their number falls."""
    fewest, at_most = float("inf"), time.monotonic() + QUIET_SECONDS
    while busy := _busy(stack):
        if busy < fewest:
            fewest, at_most = busy, time.monotonic() + QUIET_SECONDS
        assert time.monotonic() < at_most, f"{busy} events are neither done nor dead letters"
        time.sleep(0.2)


def _busy(stack: SoakStack) -> float:
    """The number of events that wait, in the store or the spool, or run."""
    try:
        with stack.redis() as store:
            stats = StatsReader(store, Keys()).read()
    except redis.RedisError:
        return float("inf")
    busy = sum(queue.waiting + queue.running + queue.scheduled for queue in stats.queues)
    return spooled_events(stack.data) + max(busy, stats.open - sum(queue.dead for queue in stats.queues))


def spooled_events(data: Path) -> float:
    """The number of events in the spool; infinite while a database cannot be read."""
    spool = SpoolReader(Settings(data_dir=data, spool_dir=str(data / "spool"))).summary()
    # Ingest reaches the store by an address of its own, which its databases name.
    return float("inf") if spool.unreadable else spool.events + spool.elsewhere


def _roles(processes: Processes) -> dict[str, list[int]]:
    return {
        "ingest": [processes.ingest.parent],
        "worker's parent": [machine.parent for machine in processes.machines],
        "worker process": [pid for machine in processes.machines for pid in machine.children()],
        "Valkey": [processes.stack.server.pid],
    }


def _life(of_role: tuple[str, list[Life]]) -> tuple[str, ...]:
    role, lives = of_role
    grown = [life.growth for life in lives if life.growth is not None]
    return (
        role,
        f"{len(lives)}",
        f"{max(life.seconds for life in lives)}",
        f"{max(life.highest for life in lives):.0f}",
        f"{max(grown):.1f}" if grown else "-",
    )
