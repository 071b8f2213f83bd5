"""One soak, from the first process to the findings."""

import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import redis

from bench.figures import table
from harness.stack import Stack, wait_until
from surehook.shared.keys import Keys
from surehook.shared.stats import StatsReader
from tests.support.soak.actors import Processes
from tests.support.soak.chaos import Chaos
from tests.support.soak.memory import Life, Memory
from tests.support.soak.report import Findings, examine
from tests.support.soak.senders import Senders

HANDLERS = Path(__file__).with_name("handlers.py")
RETENTION_SECONDS = 120
LONGEST_PAUSE_SECONDS = 2.5
QUIET_SECONDS = 150.0
# After the last fault the endpoint must accept events again.
CALM_EVENTS = 100
CALM_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Report:
    """Everything a soak found."""

    seconds: float
    faults: Counter[str]
    answers: Counter[str]
    lives: dict[str, list[Life]]
    findings: Findings

    def text(self) -> str:
        lives = [("process", "lives", "longest s", "highest MiB", "most growth MiB"), *map(_life, self.lives.items())]
        wrong = "\n".join(["WRONG:", *self.findings.wrong])
        return "\n\n".join(
            [
                _counted("fault", "times", self.faults),
                _counted("answer", "times", self.answers),
                _counted("keys left", "count", self.findings.keys),
                table(lives),
                *(
                    ["effects twice that no interruption explains:\n" + "\n".join(self.findings.twice)]
                    * bool(self.findings.twice)
                ),
                table([("what", "count"), *((name, f"{count:,}") for name, count in self.findings.counts.items())]),
                wrong if self.findings.wrong else "no event was lost and no key was left over",
            ]
        )


def soak(
    seconds: float,
    seed: int,
    per_second: float,
    tell: Callable[[str], None],
    longest_pause_seconds: float = LONGEST_PAUSE_SECONDS,
) -> Report:
    """Sends events, begins faults, waits until every event is closed, and reports. Keeps the log of a fault."""
    with closing(Stack(HANDLERS.read_text("utf-8"))) as stack:
        (stack.folder / "myhooks.py").write_text(HANDLERS.read_text("utf-8"))
        began = time.monotonic()
        stack.environ["BEGAN"] = f"{began}"
        processes = Processes(stack, RETENTION_SECONDS)
        senders = Senders(stack.url, per_second, seed)
        chaos = Chaos(processes, senders, seed, lambda words: tell(f"{time.monotonic() - began:6.1f} s  {words}"))
        memory = Memory(lambda: _roles(processes))
        try:
            wait_until(stack.is_ready, "ingest is ready")
            memory.start()
            senders.start()
            try:
                chaos.run(seconds, longest_pause_seconds, threading.Event().wait)
                calm = len(senders.accepted) + CALM_EVENTS
                wait_until(
                    lambda: len(senders.accepted) >= calm, "the endpoint accepts events again", seconds=CALM_SECONDS
                )
            finally:
                senders.stop()
            tell(f"{time.monotonic() - began:6.1f} s  waiting until every event is closed")
            wait_until(lambda: is_quiet(stack), "every event is done or a dead letter", seconds=QUIET_SECONDS)
            tell(f"{time.monotonic() - began:6.1f} s  quiet")
        except AssertionError:
            tell(f"the log: {_kept(stack, seed)}")
            raise
        finally:
            processes.close()
        memory.stop()
        findings = examine(stack, senders, memory.lives())
        bad = [f"{actor.name} {exit_status}" for actor in processes.actors for exit_status in actor.bad_exits]
        findings.add_fault("did not stop cleanly", bad)
        if findings.wrong:
            findings.wrong.append(f"the log: {_kept(stack, seed)}")
    return Report(seconds, chaos.counts, senders.answers, memory.lives(), findings)


def is_quiet(stack: Stack) -> bool:
    """Returns True if every open event is a dead letter and no job waits or runs."""
    try:
        with stack.redis() as store:
            stats = StatsReader(store, Keys()).read()
    except redis.RedisError:
        return False
    busy = sum(queue.waiting + queue.running + queue.scheduled for queue in stats.queues)
    return busy == 0 and stats.open <= sum(queue.dead for queue in stats.queues)


def _kept(stack: Stack, seed: int) -> Path:
    path = Path(tempfile.gettempdir()) / f"soak-{seed}.log"
    path.write_text(stack.logged(), "utf-8")
    return path


def _counted(heading: str, unit: str, counts: Counter[str]) -> str:
    return table([(heading, unit), *((name, f"{count:,}") for name, count in sorted(counts.items()))])


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
