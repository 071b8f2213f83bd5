"""The files in which worker processes count, kept to one set for each that lives and one for all that died.

prometheus-client keeps a dead process's counters, or totals would fall, and so its files pile up with every replaced
process. Here they are added up in a file of their own.
"""

import threading
from collections.abc import Iterable
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

# The two kinds whose values add up.
SUMMED = ("counter", "histogram")
THE_DEAD = "dead"


class MetricFiles(Collector):
    """What all worker processes of a pool have counted, those that are gone included."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)
        self._living = MultiProcessCollector(CollectorRegistry(), path=folder)  # type: ignore[no-untyped-call] # theirs
        # A scrape between adding up and removing would count a process twice.
        self._lock = threading.Lock()

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterable[Metric]:
        with self._lock:
            return list(self._living.collect())  # type: ignore[no-untyped-call] # theirs

    def forget(self, pid: int) -> None:
        """Add up what a dead process has counted, and remove its files."""
        with self._lock:
            mark_process_dead(pid, str(self._folder))  # type: ignore[no-untyped-call] # theirs
            for kind in SUMMED:
                source = self._folder / f"{kind}_{pid}.db"
                if source.exists():
                    _add(source, self._folder / f"{kind}_{THE_DEAD}.db")
                    source.unlink()


def _add(source: Path, target: Path) -> None:
    sums = MmapedDict(str(target))  # type: ignore[no-untyped-call] # theirs
    try:
        for key, value, at, _ in MmapedDict.read_all_values_from_file(str(source)):  # type: ignore[no-untyped-call] # theirs
            before, _ = sums.read_value(key)  # type: ignore[no-untyped-call] # theirs
            sums.write_value(key, before + value, at)  # type: ignore[no-untyped-call] # theirs
    finally:
        sums.close()  # type: ignore[no-untyped-call] # theirs
