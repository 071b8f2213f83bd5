"""One soak, from the first process to the verdict."""

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
from tests.support.soak.actors import Cast
from tests.support.soak.chaos import Chaos
from tests.support.soak.memory import Life, Memory
from tests.support.soak.report import Verdict, judge
from tests.support.soak.senders import Senders

HANDLERS = Path(__file__).with_name("handlers.py")
RETENTION_SECONDS = 120
LONGEST_PAUSE_SECONDS = 2.5
QUIET_SECONDS = 150.0
# When all is whole again the door must take events again, whatever was done to it.
CALM_EVENTS = 100
CALM_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Report:
    """Everything a soak found."""

    seconds: float
    faults: Counter[str]
    answers: Counter[str]
    lives: dict[str, list[Life]]
    verdict: Verdict

    def text(self) -> str:
        lives = [("process", "lives", "longest s", "highest MiB", "most growth MiB"), *map(_life, self.lives.items())]
        wrong = "\n".join(["WRONG:", *self.verdict.wrong])
        return "\n\n".join(
            [
                _counted("fault", "times", self.faults),
                _counted("answer", "times", self.answers),
                _counted("keys left", "count", self.verdict.keys),
                table(lives),
                *(
                    ["effects twice that no interruption explains:\n" + "\n".join(self.verdict.twice)]
                    * bool(self.verdict.twice)
                ),
                table([("what", "count"), *((name, f"{count:,}") for name, count in self.verdict.counts.items())]),
                wrong if self.verdict.wrong else "nothing was lost, nothing is left over",
            ]
        )


def soak(
    seconds: float,
    seed: int,
    per_second: float,
    tell: Callable[[str], None],
    longest_pause_seconds: float = LONGEST_PAUSE_SECONDS,
) -> Report:
    """Send, break, wait until it is quiet, and look what became of it. What was logged is kept if that is not well."""
    with closing(Stack(HANDLERS.read_text("utf-8"))) as stack:
        (stack.folder / "myhooks.py").write_text(HANDLERS.read_text("utf-8"))
        began = time.monotonic()
        stack.environ["BEGAN"] = f"{began}"
        cast = Cast(stack, RETENTION_SECONDS)
        senders = Senders(stack.url, per_second, seed)
        chaos = Chaos(cast, senders, seed, lambda words: tell(f"{time.monotonic() - began:6.1f} s  {words}"))
        memory = Memory(lambda: _roles(cast))
        try:
            wait_until(stack.is_ready, "ingest is ready")
            memory.start()
            senders.start()
            try:
                chaos.run(seconds, longest_pause_seconds, threading.Event().wait)
                calm = len(senders.accepted) + CALM_EVENTS
                wait_until(lambda: len(senders.accepted) >= calm, "the door takes events again", seconds=CALM_SECONDS)
            finally:
                senders.stop()
            tell(f"{time.monotonic() - began:6.1f} s  waiting until it is quiet")
            wait_until(lambda: is_quiet(stack), "all is done or dead", seconds=QUIET_SECONDS)
            tell(f"{time.monotonic() - began:6.1f} s  quiet")
        except AssertionError:
            tell(f"the log: {_kept(stack, seed)}")
            raise
        finally:
            cast.close()
        memory.stop()
        verdict = judge(stack, senders, memory.lives())
        bad = [f"{actor.name} {ending}" for actor in cast.actors for ending in actor.bad_endings]
        verdict.blame("did not stop in order", bad)
        if verdict.wrong:
            verdict.wrong.append(f"the log: {_kept(stack, seed)}")
    return Report(seconds, chaos.counts, senders.answers, memory.lives(), verdict)


def is_quiet(stack: Stack) -> bool:
    """Every open event is a dead letter, and nothing waits or runs."""
    try:
        with stack.redis() as store:
            books = StatsReader(store, Keys()).read()
    except redis.RedisError:
        return False
    busy = sum(queue.waiting + queue.running + queue.scheduled for queue in books.queues)
    return busy == 0 and books.open <= sum(queue.dead for queue in books.queues)


def _kept(stack: Stack, seed: int) -> Path:
    path = Path(tempfile.gettempdir()) / f"soak-{seed}.log"
    path.write_text(stack.logged(), "utf-8")
    return path


def _counted(heading: str, unit: str, counts: Counter[str]) -> str:
    return table([(heading, unit), *((name, f"{count:,}") for name, count in sorted(counts.items()))])


def _roles(cast: Cast) -> dict[str, list[int]]:
    return {
        "ingest": [cast.door.parent],
        "worker's parent": [machine.parent for machine in cast.machines],
        "worker process": [pid for machine in cast.machines for pid in machine.children()],
        "Valkey": [cast.stack.server.pid],
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
