"""A process's children, memory and CPU time, read from /proc."""

from collections.abc import Iterable, Sequence
from pathlib import Path


def children_of(pid: int) -> list[int]:
    return sorted(int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split())


def serving_processes_of(pid: int) -> list[int]:
    """The processes that a supervisor keeps running. Those of a worker have a guard in between."""
    return sorted(process for child in children_of(pid) for process in children_of(child) or [child])


def has_ended(pid: int) -> bool:
    """True also for a zombie: an orphan stays one until its new parent, which may be slow, has reaped it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def resident_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096


def cpu_seconds(pid: int) -> float:
    """Returns the CPU time of all threads, in nanosecond steps; `stat` counts in hundredths of a second."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9


def cpu_seconds_of(parts: Sequence[Iterable[int]]) -> list[float]:
    """The CPU time of several parts of a stack, each of some processes."""
    return [sum(map(cpu_seconds, pids)) for pids in parts]
