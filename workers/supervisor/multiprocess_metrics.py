"""Adds up the metrics of all worker processes, and keeps one file for those that have died.

prometheus-client keeps the files of dead processes, so that totals never fall; with every replaced process there are
more of them. Here their values are added to one file.
"""

import threading
from collections.abc import Iterable
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

# The kinds of metric whose values add up.
SUMMED = ("counter", "histogram")
DEAD = "dead"


class MetricFiles(Collector):
    """Collects the metrics of all worker processes, including those that have ended."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)
        self._living = MultiProcessCollector(CollectorRegistry(), path=folder)  # type: ignore[no-untyped-call] # theirs
        # A scrape between adding and removing would count a process twice.
        self._lock = threading.Lock()

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterable[Metric]:
        with self._lock:
            return list(self._living.collect())  # type: ignore[no-untyped-call] # theirs

    def forget(self, pid: int) -> None:
        """Add the values of a dead process to those of the others, and remove its files."""
        with self._lock:
            mark_process_dead(pid, str(self._folder))  # type: ignore[no-untyped-call] # theirs
            for kind in SUMMED:
                source = self._folder / f"{kind}_{pid}.db"
                if source.exists():
                    _add(source, self._folder / f"{kind}_{DEAD}.db")
                    source.unlink()


def _add(source: Path, target: Path) -> None:
    sums = MmapedDict(str(target))  # type: ignore[no-untyped-call] # theirs
    try:
        for key, value, at, _ in MmapedDict.read_all_values_from_file(str(source)):  # type: ignore[no-untyped-call] # theirs
            before, _ = sums.read_value(key)  # type: ignore[no-untyped-call] # theirs
            sums.write_value(key, before + value, at)  # type: ignore[no-untyped-call] # theirs
    finally:
        sums.close()  # type: ignore[no-untyped-call] # theirs
