"""The first steps of every long-running command."""

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from surehook.shared.child_processes import signals_restored, stop_with_parent
from surehook.shared.log import set_up_logging, withstand_configuration
from surehook.shared.settings import Settings, load_settings

if TYPE_CHECKING:
    from surehook.workers.handlers.registry import Registry


def start(**overrides: Any) -> Settings:
    """Load the settings, with those of the command line, and set up logging."""
    stop_with_parent()
    settings = load_settings(**overrides)
    set_up_logging(settings.log_level, settings.log_format)
    return settings


def pause_unless_stopped(stops: Sequence[int]) -> Callable[[float], None]:
    """A pause that exits once a signal is in `stops`: a store may load its files for minutes."""

    def pause(seconds: float) -> None:
        if stops:
            sys.exit(0)
        time.sleep(seconds)

    return pause


def load_registry(settings: Settings) -> "Registry":
    """Load the handlers in a process that only starts others, which run them.

    Raises:
        Misconfigured: there are none, or they are wrong.
    """
    from surehook.workers.handlers.loader import load_handlers

    with signals_restored():
        registry = load_handlers(settings.handlers, Path.cwd())
    withstand_configuration()
    return registry
