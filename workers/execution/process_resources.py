"""The resources and hooks that a worker process's modules have declared."""

from surehook.workers.execution.hooks import Hooks
from surehook.workers.execution.resources import Resources, Stopped
from surehook.workers.execution.runner import Runner
from surehook.workers.handlers import hooks, resources
from surehook.workers.metrics import RESOURCES_CLOSED, WorkerMetrics


class ProcessResources:
    """Opened before the process registers as a worker, so that it is given no event until it can run one."""

    def __init__(self, runner: Runner, metrics: WorkerMetrics) -> None:
        self._runner = runner
        self._metrics = metrics
        self._resources = Resources(resources.declared, runner.event_loop)

    def open(self, stops: list[int]) -> bool:
        """Opens them all. False: told to stop before that succeeded."""
        if not (len(self._resources) or hooks.declared_arounds):
            return True
        self._runner.hooks = Hooks(self._resources, hooks.declared_arounds)
        self._metrics.set_not_ready(RESOURCES_CLOSED, is_so=True)
        try:
            self._resources.open(lambda: bool(stops))
        except Stopped:
            return False
        self._metrics.set_not_ready(RESOURCES_CLOSED, is_so=False)
        return True

    def close(self) -> None:
        self._resources.close()
