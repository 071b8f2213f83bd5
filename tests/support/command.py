"""The surehook command, called in the test's process on the tests' store."""

import contextlib
import logging
import sys
import threading
from collections.abc import Callable, Iterator

import pytest
from click.testing import CliRunner

from surehook.main import cli
from surehook.shared.errors import Misconfigured, NotFound, SurehookError
from surehook.shared.exit_status import FAILED, MISCONFIGURED, NOT_FOUND
from surehook.shared.settings import Settings

Surehook = Callable[..., tuple[int, str]]


@contextlib.contextmanager
def logging_restored() -> Iterator[None]:
    """Undoes a command's set-up of logging, which would hide what later tests capture."""
    ours = logging.getLogger("surehook")
    handlers, level, propagate = ours.handlers[:], ours.level, ours.propagate
    root_level, last_resort = logging.root.level, logging.lastResort
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
    try:
        yield
    finally:
        ours.handlers[:] = handlers
        ours.setLevel(level)
        ours.propagate = propagate
        logging.root.setLevel(root_level)
        logging.lastResort = last_resort
        sys.excepthook, threading.excepthook, sys.unraisablehook = hooks


def command_on(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Surehook:
    """Returns a function of arguments that gives the exit status, and the output or the error's message."""
    monkeypatch.setenv("SUREHOOK_DATA_DIR", str(settings.data_dir))

    def run(*arguments: str) -> tuple[int, str]:
        with logging_restored():
            result = CliRunner().invoke(cli, list(arguments))
        match result.exception:
            case NotFound():
                return NOT_FOUND, str(result.exception)
            case Misconfigured():
                return MISCONFIGURED, str(result.exception)
            case SurehookError():
                return FAILED, str(result.exception)
            case None | SystemExit():
                return result.exit_code, result.output
        raise result.exception

    return run
