"""The plan of a supervisor: the settings, the handlers and the queues that were read at a start or at a reload."""

import pickle
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from surehook.shared.child_processes import start_child
from surehook.shared.errors import Misconfigured
from surehook.shared.exit_status import CHILD_MISCONFIGURED
from surehook.shared.settings import Settings, load_settings
from surehook.shared.visible import visible
from surehook.shared.working_folder import WorkingFolder
from surehook.workers.handlers.parameters import Parameters
from surehook.workers.handlers.registry import Handler, Registry
from surehook.workers.handlers.retry import RetryPolicy

LOADING_SECONDS = 60.0  # handler modules may import a whole framework
MISTAKE = "the configuration or a handler module has a mistake; the line before says which. The old processes stay"
NOT_LOADED = "the handler modules do not load. The old processes stay"


@dataclass(frozen=True, slots=True)
class Plan:
    """Stays with the processes that were started for it: their claims are given back on the store that they used."""

    settings: Settings
    registry: Registry
    queues: tuple[str, ...]


class Reload:
    """Reads the next plan. A process of its own imports the handler modules: Python imports a module only once."""

    def __init__(self, folder: WorkingFolder, queue: str | None, overrides: Mapping[str, Any]) -> None:
        """
        Raises:
            Misconfigured: the settings have a mistake.
        """
        self._settings = load_settings(**overrides)
        self._path = folder.path / "outline"
        self._path.unlink(missing_ok=True)
        options = ["--into", str(self._path)] + ([] if queue is None else ["--queue", queue])
        self._process = start_child(["-m", "surehook.workers.supervisor.outline", *options], pass_fds=(folder.lock,))
        self._deadline = time.monotonic() + LOADING_SECONDS

    def result(self) -> Plan | None:
        """Returns the plan; None while the modules are being imported.

        Raises:
            Misconfigured: the modules cannot be used.
        """
        status = self._process.poll()
        if status is None and time.monotonic() < self._deadline:
            return None
        self.cancel()
        if status != 0:
            raise Misconfigured(MISTAKE if status == CHILD_MISCONFIGURED else NOT_LOADED)
        handlers, queues = pickle.loads(self._path.read_bytes())  # noqa: S301 - written by our own process, in our folder
        return Plan(self._settings, Registry(handlers), queues)

    def cancel(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()


def report(mistake: Misconfigured) -> None:
    """Writes a mistake in the settings as a start does, with the variable and what was expected."""
    sys.stderr.write(f"{visible(str(mistake))}\n")
    sys.stderr.flush()


def queues_of(registry: Registry, queue: str | None) -> tuple[str, ...]:
    """Returns the queues to be served: all that the handlers use, or the one that was asked for.

    Raises:
        Misconfigured: no handler uses that one.
    """
    if queue is not None and queue not in registry.queues:
        raise Misconfigured(f"--queue {queue}: the handlers use {', '.join(registry.queues)}")
    return tuple(registry.queues) if queue is None else (queue,)


def write_outline(path: Path, registry: Registry, queues: tuple[str, ...]) -> None:
    """Writes what a supervisor needs to know of the handlers, without their code."""
    path.write_bytes(pickle.dumps(([_outlined(handler) for handler in registry], queues)))


def _outlined(handler: Handler) -> Handler:
    return replace(
        handler,
        function=_is_elsewhere,
        policy=RetryPolicy(0, ()),
        parameters=Parameters(accepts_attempt=False),
        order=None,
        undo=None if handler.undo is None else _outlined(handler.undo),
    )


def _is_elsewhere(_: Any) -> None:
    """Stands for a function that only worker processes have."""
