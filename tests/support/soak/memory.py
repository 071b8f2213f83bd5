"""The memory of every process of the stack, followed from its start to its end."""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from statistics import median

from harness.processes import resident_bytes

EVERY_SECONDS = 1.0
# A process has loaded everything by then; a later increase is growth.
YOUNG_SECONDS = 15
AT_LEAST_SECONDS = 40
WINDOW = 10
MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Life:
    """One process, in MiB: its highest memory, and the growth from its youth to its end."""

    seconds: int
    highest: float
    growth: float | None
    """None if it lived too briefly to measure."""


class Memory(threading.Thread):
    """Samples the memory of all processes; `roles` lists them."""

    def __init__(self, roles: Callable[[], Mapping[str, Iterable[int]]]) -> None:
        super().__init__(name="memory", daemon=True)
        self._roles = roles
        self._seen: dict[tuple[str, int], list[float]] = defaultdict(list)
        self._is_over = threading.Event()

    def run(self) -> None:
        while not self._is_over.wait(EVERY_SECONDS):
            for role, pids in self._roles().items():
                for pid in pids:
                    with suppress(OSError, IndexError):  # the process has just ended
                        self._seen[role, pid].append(resident_bytes(pid) / MEBIBYTE)

    def stop(self) -> None:
        self._is_over.set()
        self.join()

    def lives(self) -> dict[str, list[Life]]:
        """Returns the lives by role, with a sample for each second."""
        found: dict[str, list[Life]] = defaultdict(list)
        for (role, _), samples in self._seen.items():
            if samples:
                found[role].append(_life(samples))
        return found


def _life(samples: list[float]) -> Life:
    growth = None
    if len(samples) >= AT_LEAST_SECONDS:
        growth = median(samples[-WINDOW:]) - median(samples[YOUNG_SECONDS : YOUNG_SECONDS + WINDOW])
    return Life(len(samples), max(samples), growth)
