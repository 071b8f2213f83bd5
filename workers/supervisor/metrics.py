"""The metrics that a supervisor serves: its own, those of its processes, and those of the store."""

from collections.abc import Callable
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter

from surehook.shared.multiprocess_metrics import MetricFiles
from surehook.shared.process_metrics import ProcessMetrics
from surehook.shared.settings import Settings
from surehook.shared.store_metrics import StoreGauges


class SupervisorMetrics:
    """One per supervisor."""

    def __init__(self, folder: Path, settings: Settings, pids: Callable[[], list[int]]) -> None:
        self.series = CollectorRegistry()
        self.files = MetricFiles(folder)
        self.series.register(self.files)
        self._store_gauges = StoreGauges(settings)
        self.series.register(self._store_gauges)
        self.series.register(ProcessMetrics(pids))
        self.deaths = Counter("surehook_worker_process_deaths", "Processes that died", registry=self.series)
        self.interrupted = Counter("surehook_interrupted_runs", "Runs whose process died", registry=self.series)
        self.killed = Counter(
            "surehook_killed_runs",
            "Runs that did not stop at their timeout, so that their process was killed",
            ["handler"],
            registry=self.series,
        )

    def use(self, settings: Settings) -> None:
        """Read the store that these settings name from now on."""
        self.series.unregister(self._store_gauges)
        self._store_gauges = StoreGauges(settings)
        self.series.register(self._store_gauges)
