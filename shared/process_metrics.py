"""Prometheus' standard process metrics, for a parent and its child processes together."""

import os
from collections.abc import Callable, Iterable
from typing import Any

from prometheus_client import ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector


def _no_children() -> Iterable[int]:
    return ()


class ProcessMetrics(Collector):
    """Reads /proc at each scrape; without it, as on macOS, there are none of these metrics."""

    def __init__(self, children: Callable[[], Iterable[int]] = _no_children) -> None:
        """
        Args:
            children: the process ids of this process's children; one that has ended is left out.
        """
        self._children = children

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterable[Metric]:
        own = _read(os.getpid())
        if not own:
            return
        all_read = [own, *filter(None, map(_read, self._children()))]
        with_files = [read for read in all_read if read.keys() >= {"process_open_fds", "process_max_fds"}]
        # The children that were waited for have left their share here, so that the sum does not fall.
        ended = os.times()
        cpu = ended.children_user + ended.children_system + sum(read["process_cpu_seconds"] for read in all_read)
        # In whole ticks: Prometheus takes a sum that falls by a rounding error for that of a new process.
        cpu = round(cpu, 2)
        yield CounterMetricFamily("process_cpu_seconds", "CPU time, user and system, of all processes", value=cpu)
        yield _gauge(
            "process_resident_memory_bytes",
            "Resident memory of all processes; what they share is counted in each",
            sum(read["process_resident_memory_bytes"] for read in all_read),
        )
        yield _gauge("process_start_time_seconds", "Start of the parent, unix time", own["process_start_time_seconds"])
        if with_files:
            fullest = max(with_files, key=lambda read: read["process_open_fds"] / read["process_max_fds"])
            yield _gauge(
                "process_open_fds", "Open files of the process that is nearest its limit", fullest["process_open_fds"]
            )
            yield _gauge("process_max_fds", "That limit", fullest["process_max_fds"])


def _gauge(name: str, description: str, value: float) -> Metric:
    return GaugeMetricFamily(name, description, value=value)


def _read(pid: int) -> dict[str, float]:
    """The values of a process by their names; empty if it has ended."""
    collector: Any = ProcessCollector(pid=lambda: pid, registry=None)
    values = {metric.name: metric.samples[0].value for metric in collector.collect()}
    # A zombie has no memory, and its CPU time is its parent's when it was waited for.
    return values if "process_cpu_seconds" in values else {}
