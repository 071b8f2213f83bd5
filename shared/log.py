"""Logging: a constant message and a few allowed fields, as JSON lines or as text for people."""

import contextlib
import json
import logging
import os
import sys
import textwrap
import threading
import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TextIO

from surehook.shared.log_details import Details, extra_of, message_of, place_of, traceback_of
from surehook.shared.tracebacks import coloured
from surehook.shared.visible import visible, visible_line

log = logging.getLogger(__name__)

# Only these fields of a record are written: anything else passed in `extra` stays out of the logs.
FIELDS = (
    "event_id",
    "event_type",
    "known_type",
    "tenant_id",
    "handler",
    "attempt",
    "outcome",
    "elapsed_ms",
    "delay_seconds",
    "grace_seconds",
    "queue",
    "operator",
    "action_id",
    "filter",
    "task",
    "command",
    "job_id",
    "reason",
    "error_type",
    "fields",
    "count",
    "duplicates",
    "address",
    "pid",
    "status",
    "method",
    "path",
    "variable",
    "key_id",
    "resource",
    "ingest_has",
    "worker_has",
)
RUN_FIELDS = ("event_type", "event_id", "handler", "outcome", "elapsed_ms", "attempt")
NAME = "surehook"
TRACEBACK = "traceback"
# These log arguments, URLs and tracebacks, which may contain personal data.
QUIET_LIBRARIES = frozenset({"rq.worker", "rq.job", "werkzeug", "httpx", "httpcore"})


def set_up_logging(
    level: str, style: str | None, *, runs_handlers: bool = False, shows_tracebacks: bool = False
) -> None:
    """Write to stderr as JSON, or as text when asked for or when stderr is a terminal.

    Handler modules configure logging as in any program: nothing here changes what other loggers do, except that their
    lines have our format as long as no handler is configured for them.
    """
    if style is None:
        style = "text" if sys.stderr.isatty() else "json"
    handler = _StderrHandler(sys.stderr)
    is_coloured = sys.stderr.isatty() and "NO_COLOR" not in os.environ
    details = Details(runs_handlers, shows_tracebacks, is_coloured)
    handler.setFormatter(TextFormatter(details) if style == "text" else JsonFormatter(details))
    ours = logging.getLogger(NAME)
    ours.handlers[:] = [handler]
    ours.setLevel(level)
    ours.propagate = False
    # Not a handler of the root logger: logging.basicConfig() does nothing if there is one.
    logging.lastResort = handler
    logging.root.setLevel(_DefaultLevel(ours.level))
    withstand_configuration()
    _hide_messages_of_uncaught_errors()


def withstand_configuration() -> None:
    """Makes our loggers independent of what a user's modules configure; called again after those were imported."""
    for name, logger in logging.root.manager.loggerDict.copy().items():
        if isinstance(logger, logging.Logger) and name.partition(".")[0] == NAME:
            logger.__class__ = SurehookLogger
    if logging.root.handlers and isinstance(logging.root.level, _DefaultLevel):
        logging.root.setLevel(logging.WARNING)


class _DefaultLevel(int):
    """The level of the root logger while no module has set one."""


class SurehookLogger(logging.Logger):
    """Logs for Surehook, whatever is switched off or replaced for the whole process."""

    _cache: dict[int, bool]  # logging empties it whenever a level changes

    @property
    def disabled(self) -> bool:
        """False: logging.config disables every logger that its configuration does not name."""
        return False

    @disabled.setter
    def disabled(self, _: bool) -> None:
        pass

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - logging's name
        """Ignores logging.disable()."""
        try:
            return self._cache[level]
        except KeyError:
            is_enabled = self._cache[level] = level >= self.getEffectiveLevel()
            return is_enabled

    def makeRecord(self, *arguments: Any, extra: Any = None, sinfo: str | None = None) -> logging.LogRecord:  # noqa: N802 - logging's name
        """Does without the process's record factory, which may raise."""
        name, level, path, line, message, values, exc_info, function, given, *_ = (*arguments, None, None)
        record = logging.LogRecord(name, level, path, line, message, values, exc_info, function, sinfo)
        record.__dict__.update(extra or given or {})
        return record

    def handle(self, record: logging.LogRecord) -> None:
        """Survives handlers and filters that a user has attached to our loggers."""
        try:
            super().handle(record)
        except Exception:  # noqa: BLE001 - anything may be raised there
            if logging.lastResort is not None and logging.lastResort not in logging.getLogger(NAME).handlers:
                logging.lastResort.handle(record)


class _StderrHandler(logging.StreamHandler[TextIO]):
    """Writes our lines, and those of libraries and handler modules as long as these configure no handlers."""

    def filter(self, record: logging.LogRecord) -> Any:
        return record.name not in QUIET_LIBRARIES and super().filter(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Says which call is wrong. Python would print the record's arguments, which may quote an event."""
        facts = {"reason": f"{record.pathname}:{record.lineno}"}
        problem = {"name": record.name, "levelno": logging.ERROR, "levelname": "ERROR", "msg": "log record malformed"}
        with contextlib.suppress(Exception):
            self.stream.write(self.format(logging.makeLogRecord(problem | facts)) + self.terminator)
            self.flush()


def _hide_messages_of_uncaught_errors() -> None:
    """Logs uncaught errors, of threads and `__del__` too, by type and place: the message may quote an event."""
    sys.excepthook = lambda *error: log.critical("uncaught exception", exc_info=error)
    threading.excepthook = lambda thrown: _log_thrown("uncaught exception in thread", thrown)
    sys.unraisablehook = lambda thrown: _log_thrown("unraisable exception", thrown)


def _log_thrown(message: str, thrown: Any) -> None:
    if thrown.exc_type is SystemExit:  # a thread may end with it, as in any Python program
        return
    error = BaseException() if thrown.exc_value is None else thrown.exc_value
    log.error(message, exc_info=(thrown.exc_type, error, thrown.exc_traceback))


def facts_of(record: logging.LogRecord) -> dict[str, object]:
    known = record.__dict__
    return {name: known[name] for name in FIELDS if name in known}


_encode = json.JSONEncoder(default=str).encode


@lru_cache(maxsize=4)
def _second(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").removesuffix("+00:00")


def _instant(created: float) -> str:
    """Formats like isoformat(timespec="milliseconds"), which takes as long as the rest of the line together."""
    at, milliseconds = divmod(int(created * 1000), 1000)
    return f"{_second(at)}.{milliseconds:03d}+00:00"


class _Formatter(logging.Formatter):
    def __init__(self, details: Details = Details()) -> None:  # noqa: B008 - immutable
        super().__init__()
        self._details = details

    def _traceback(self, record: logging.LogRecord) -> str:
        """A user's record has what logging would write; a failed run, in `surehook dev`, its masked traceback."""
        if self._details.is_users(record):
            return traceback_of(record)
        return str(getattr(record, TRACEBACK, "")) if self._details.shows_tracebacks else ""


class JsonFormatter(_Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "at": _instant(record.created),
            "level": record.levelname,
            "logger": record.name,
            "message": message_of(record),
            **facts_of(record),
        }
        if self._details.is_users(record):
            line |= {f"extra_{name}" if name in line else name: value for name, value in extra_of(record).items()}
        if traceback := self._traceback(record):
            line[TRACEBACK] = traceback
        if error := place_of(record):
            line["error"] = error
        return _encode(line).replace("\x7f", "\\u007f")


class TextFormatter(_Formatter):
    """Text for people, in UTC: a run of a handler is an aligned line, other records are a message with its fields."""

    def format(self, record: logging.LogRecord) -> str:
        traceback = self._traceback(record).rstrip()
        if not traceback:
            return self._line(record)
        shown = coloured(traceback) if self._details.is_coloured else visible(traceback)
        return f"{self._line(record)}\n{textwrap.indent(shown, '  ')}"

    def _line(self, record: logging.LogRecord) -> str:
        at = time.strftime("%H:%M:%SZ", time.gmtime(record.created))
        facts = facts_of(record)
        if all(name in facts for name in RUN_FIELDS):
            return self._run(at, facts)
        if self._details.is_users(record):
            facts = extra_of(record)
        known = "  ".join(f"{name}={value}" for name, value in facts.items())
        level = "" if record.levelno == logging.INFO else f"{record.levelname} "
        parts = (at, level + message_of(record), known, place_of(record))
        return "  ".join(visible_line(part) for part in parts if part)

    def _run(self, at: str, facts: dict[str, object]) -> str:
        """One line of at most 80 columns where names are short, and another for what is not as usual."""
        start, event_id = f"{at}  {facts['event_type']:<20}", str(facts["event_id"])[:8]
        line = f"{start}  {event_id}  {facts['handler']:<16}  {facts['outcome']:<7}  {facts['elapsed_ms']:>5} ms"
        attempt = f"attempt {facts['attempt']}" if facts["attempt"] != 1 or "error_type" in facts else ""
        again = f", again in {facts['delay_seconds']} s" if "delay_seconds" in facts else ""
        error = f"  {facts['error_type']}" if "error_type" in facts else ""
        details = attempt + again + error
        shown = visible_line(line)
        return f"{shown}\n{'':{len(at)}}  {visible_line(details)}" if details else shown
