"""Adds up the metrics of several processes, and keeps one file of each kind for those that have died.

prometheus-client keeps the files of dead processes, so that totals never fall; with every replaced process there are
more of them. Here their values are combined in one file of each kind. The handlers' own metrics are among them.

A process that starts or grows a file is not alone with it: its file may be empty when it is read, and a killed process
may leave it so.
"""

import struct
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from prometheus_client.metrics_core import Metric
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

_Sample = tuple[float, float]
"""A value, and the instant of a gauge that shows the most recent one."""
_Combine = Callable[[_Sample, _Sample], _Sample]


def _added(one: _Sample, other: _Sample) -> _Sample:
    return one[0] + other[0], max(one[1], other[1])


def _newer(one: _Sample, other: _Sample) -> _Sample:
    return max(one, other, key=lambda sample: sample[1])


COMBINED: Mapping[str, _Combine] = {
    "counter": _added,
    "histogram": _added,
    "summary": _added,
    "gauge_sum": _added,
    "gauge_max": max,
    "gauge_min": min,
    "gauge_mostrecent": _newer,
}
"""By a file's kind: how a dead process's value and that of those before it become one."""

# A gauge of this kind is a series for each process, and tells nothing when the process has died.
PER_PROCESS = "gauge_all"
DEAD = "dead"
# The errors of reading a file that is removed, empty or half written.
UNREADABLE = (OSError, struct.error, RuntimeError, ValueError)
# How often all files are read, and if a file that cannot be read is left out. The totals fall if one is.
READINGS = (False, False, True, True)


class MetricFiles(Collector):
    """Collects the metrics of all processes, including those that have ended."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # A scrape between adding and removing would count a process twice.
        self._lock = threading.Lock()

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterable[Metric]:
        with self._lock:
            for leaves_out in READINGS:
                with suppress(*UNREADABLE):  # changed while it was read
                    return self._read(leaves_out_unreadable=leaves_out)
            return self._read(leaves_out_unreadable=True)

    def _read(self, *, leaves_out_unreadable: bool) -> list[Metric]:
        paths = self._folder.glob("*.db")
        files = [str(path) for path in paths if not leaves_out_unreadable or _is_readable(path)]
        return list(MultiProcessCollector.merge(files))  # type: ignore[no-untyped-call] # theirs

    def forget(self, pid: int) -> None:
        """Combine the values of a dead process with those of the ones before it, and remove its files."""
        with self._lock:
            mark_process_dead(pid, str(self._folder))  # type: ignore[no-untyped-call] # theirs
            (self._folder / f"{PER_PROCESS}_{pid}.db").unlink(missing_ok=True)
            for kind, combine in COMBINED.items():
                source = self._folder / f"{kind}_{pid}.db"
                if source.exists():
                    _merge(source, self._folder / f"{kind}_{DEAD}.db", combine)
                    source.unlink()


def _merge(source: Path, target: Path, combine: _Combine) -> None:
    merged = MmapedDict(str(target))  # type: ignore[no-untyped-call] # theirs
    try:
        before = {key: (value, at) for key, value, at in merged.read_all_values()}  # type: ignore[no-untyped-call] # theirs
        for key, value, at in _values(source):
            sample = combine(before[key], (value, at)) if key in before else (value, at)
            merged.write_value(key, *sample)  # type: ignore[no-untyped-call] # theirs
    finally:
        merged.close()  # type: ignore[no-untyped-call] # theirs


def _values(source: Path) -> Iterator[tuple[str, float, float]]:
    """The values in a file, up to the place where its process was killed."""
    with suppress(*UNREADABLE):
        for key, value, at, _ in MmapedDict.read_all_values_from_file(str(source)):  # type: ignore[no-untyped-call] # theirs
            yield key, value, at


def _is_readable(path: Path) -> bool:
    try:
        MultiProcessCollector.merge([str(path)])  # type: ignore[no-untyped-call] # theirs
    except UNREADABLE:
        return False
    return True
