"""The faults of a soak: random by a seed, and often several at a time."""

import heapq
import itertools
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.support.soak.actors import Actor, Processes, send
from tests.support.soak.journal import FOREVER
from tests.support.soak.network import Mode
from tests.support.soak.plan import KILLS, KILLS_ONCE
from tests.support.soak.senders import Senders

TICK_SECONDS = 0.05
SHORTEST_PAUSE_SECONDS = 0.2
DOWN_SECONDS = (0.1, 3.0)
# Leases last ten seconds: some pauses are shorter, some longer.
QUIET_SECONDS = (0.3, 14.0)
STORE_QUIET_SECONDS = (0.3, 8.0)
UNDONE_WITHIN_SECONDS = 2.0
Undo = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Fault:
    """`begin` starts it, and returns its duration and target; None if it cannot start now."""

    name: str
    share: int
    begin: Callable[[], tuple[float, str] | None]


class Chaos:
    """Begins faults and undoes them. The target of a fault gets no second one until the first is undone."""

    def __init__(self, processes: Processes, senders: Senders, seed: str, tell: Callable[[str], None]) -> None:
        self._processes = processes
        self._senders = senders
        self._chance = random.Random(seed)  # noqa: S311 - repeatable by its seed
        self._tell = tell
        self._targets: set[object] = set()
        self._to_undo: list[tuple[float, int, object, Undo]] = []
        self._numbers = itertools.count()
        self._faults = self._all()

    def run(self, is_over: Callable[[], bool], longest_pause_seconds: float, pause: Callable[[float], object]) -> None:
        """Begins faults until `is_over`."""
        next_at = time.monotonic() + 1
        while not is_over():
            self._undo(time.monotonic())
            if time.monotonic() >= next_at:
                self._begin()
                next_at = time.monotonic() + self._chance.uniform(SHORTEST_PAUSE_SECONDS, longest_pause_seconds)
            pause(TICK_SECONDS)

    def end(self) -> None:
        """Undoes the faults that remain."""
        self._undo(float("inf"))

    def _begin(self) -> None:
        (fault,) = self._chance.choices(self._faults, [fault.share for fault in self._faults])
        begun = fault.begin()
        if begun is not None:
            self._senders.journal.fault(fault.name)
            self._tell(f"{fault.name}, {begun[0]:.1f} s, {begun[1]}")

    def _undo(self, now: float) -> None:
        while self._to_undo and self._to_undo[0][0] <= now:
            _, _, target, undo = heapq.heappop(self._to_undo)
            undo()
            self._targets.discard(target)

    def _undo_later(self, target: object, seconds: float, undo: Undo, description: str) -> tuple[float, str]:
        self._targets.add(target)
        heapq.heappush(self._to_undo, (time.monotonic() + seconds, next(self._numbers), target, undo))
        return seconds, description

    def _all(self) -> list[Fault]:
        ingest, machines, stack = self._processes.ingest, self._processes.machines, self._processes.stack
        return [
            Fault("kill -9 a worker process", 10, lambda: self._kill_child(self._one_of(machines))),
            Fault("kill -9 a worker's parent", 5, lambda: self._end(self._one_of(machines), Actor.kill_parent)),
            Fault("kill -9 a whole worker", 4, lambda: self._end(self._one_of(machines), Actor.kill)),
            Fault("SIGTERM to a worker", 4, lambda: self._end(self._one_of(machines), Actor.stop)),
            Fault("a worker process is stopped for a while", 6, lambda: self._freeze_child(self._one_of(machines))),
            Fault("a worker's parent is stopped for a while", 3, lambda: self._freeze(self._one_of(machines))),
            Fault("a handler kills its process", 4, lambda: self._senders.also(KILLS_ONCE)),
            Fault("a handler kills each process it runs in", 1, lambda: self._senders.also(KILLS)),
            Fault("kill -9 ingest", 6, lambda: self._end(ingest, Actor.kill)),
            Fault("SIGTERM to ingest", 3, lambda: self._end(ingest, Actor.stop)),
            Fault("ingest is stopped for a while", 3, lambda: self._freeze(ingest)),
            Fault("kill -9 Valkey", 5, lambda: self._end_store(stack.server.kill)),
            Fault("SIGTERM to Valkey", 2, lambda: self._end_store(stack.server.terminate)),
            Fault("power cut of Valkey's machine", 3, lambda: self._end_store(stack.lose_power)),
            Fault("Valkey is stopped for a while", 4, self._freeze_store),
            Fault("Valkey is set to everysec for a while", 1, lambda: self._spoil("appendfsync", "everysec", "always")),
            Fault("Valkey is out of memory for a while", 1, lambda: self._spoil("maxmemory", "1", "0")),
            *(
                Fault(f"{whose}: {words}", share, lambda mode=mode, who=who: self._turn(self._one_of(who), mode))  # type: ignore[misc]
                for whose, who, share in (("ingest", [ingest], 2), ("a worker", machines, 4))
                for words, mode in (
                    ("network cut", Mode.CUT),
                    ("network silent, then late", Mode.SILENT),
                    ("replies lost", Mode.SWALLOWS_REPLIES),
                )
            ),
        ]

    def _one_of(self, actors: list[Actor]) -> Actor:
        return self._chance.choice(actors)

    def _kill_child(self, actor: Actor) -> tuple[float, str] | None:
        children = actor.children()
        if actor in self._targets or not children:
            return None
        pid = self._chance.choice(children)
        send(pid, signal.SIGKILL)
        return 0.0, f"{pid}"

    def _end(self, actor: Actor, end: Callable[[Actor], None]) -> tuple[float, str] | None:
        seconds = self._chance.uniform(*DOWN_SECONDS)
        if actor in self._targets or actor.process.poll() is not None:
            return None
        description = f"{actor.name} {actor.parent} {actor.children()}"
        end(actor)
        if actor.process.returncode != 0:
            self._away(actor, FOREVER)
        return self._undo_later(actor, seconds, actor.ensure_runs, description)

    def _freeze(self, actor: Actor) -> tuple[float, str] | None:
        seconds = self._chance.uniform(*QUIET_SECONDS)
        if actor in self._targets:
            return None
        pid = actor.parent
        send(pid, signal.SIGSTOP)
        self._away(actor, seconds)
        return self._undo_later(actor, seconds, lambda: send(pid, signal.SIGCONT), f"{actor.name} {pid}")

    def _freeze_child(self, actor: Actor) -> tuple[float, str] | None:
        """Stops a child. Other faults may still hit its parent."""
        seconds, children = self._chance.uniform(*QUIET_SECONDS), actor.children()
        if not children:
            return None
        pid = self._chance.choice(children)
        send(pid, signal.SIGSTOP)
        return self._undo_later(pid, seconds, lambda: send(pid, signal.SIGCONT), f"{pid}")

    def _away(self, actor: Actor, seconds: float) -> None:
        now = time.monotonic()
        self._senders.journal.away(actor.parent, now, now + seconds + UNDONE_WITHIN_SECONDS)

    def _end_store(self, end: Undo) -> tuple[float, str] | None:
        seconds = self._chance.uniform(*DOWN_SECONDS)
        if "store" in self._targets:
            return None
        end()
        self._processes.stack.server.wait()
        return self._undo_later("store", seconds, self._processes.start_store, "")

    def _freeze_store(self) -> tuple[float, str] | None:
        seconds, server = self._chance.uniform(*STORE_QUIET_SECONDS), self._processes.stack.server
        if "store" in self._targets:
            return None
        server.send_signal(signal.SIGSTOP)
        return self._undo_later("store", seconds, lambda: server.send_signal(signal.SIGCONT), "")

    def _spoil(self, setting: str, bad: str, good: str) -> tuple[float, str] | None:
        seconds = self._chance.uniform(*DOWN_SECONDS)
        if "store" in self._targets:
            return None
        self._set(setting, bad)
        return self._undo_later("store", seconds, lambda: self._set(setting, good), "")

    def _set(self, setting: str, value: str) -> None:
        with self._processes.stack.redis() as store:
            store.config_set(setting, value)

    def _turn(self, actor: Actor, mode: Mode) -> tuple[float, str] | None:
        seconds, relay = self._chance.uniform(*QUIET_SECONDS), actor.relay
        if relay in self._targets:
            return None
        relay.set_mode(mode)
        self._away(actor, seconds)
        return self._undo_later(relay, seconds, lambda: relay.set_mode(Mode.OPEN), actor.name)
