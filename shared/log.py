"""Logging: a constant message and a few allowed fields, as JSON lines or as text for people."""

import json
import logging
import sys
import threading
import time
from datetime import UTC, datetime
from functools import lru_cache

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
    "task",
    "command",
    "job_id",
    "reason",
    "error_type",
    "fields",
    "count",
    "address",
    "pid",
    "status",
    "method",
    "path",
    "variable",
    "key_id",
    "ingest_has",
    "worker_has",
)
RUN_FIELDS = ("event_type", "event_id", "handler", "outcome", "elapsed_ms", "attempt")
QUIET_LIBRARIES = ("rq.worker", "rq.job", "werkzeug", "asyncio", "httpx", "httpcore")


def set_up_logging(level: str, style: str | None) -> None:
    """Write to stderr as JSON, or as text when asked for or when stderr is a terminal."""
    if style is None:
        style = "text" if sys.stderr.isatty() else "json"
    # No log line shows these, so they are not collected (see "Optimization" in logging's documentation).
    logging._srcfile = None  # noqa: SLF001
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(TextFormatter() if style == "text" else JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in QUIET_LIBRARIES:
        # These log arguments, URLs and tracebacks, which may contain personal data.
        logging.getLogger(name).setLevel(logging.CRITICAL)
    _hide_messages_of_uncaught_errors()


def _hide_messages_of_uncaught_errors() -> None:
    """Logs uncaught errors (in a handler's thread, in a `__del__`) by type and place only.

    Python would print the message, which may quote an event.
    """
    sys.excepthook = lambda *error: log.critical("uncaught exception", exc_info=error)
    threading.excepthook = lambda thrown: log.error(
        "uncaught exception in thread",
        exc_info=(thrown.exc_type, thrown.exc_value or BaseException(), thrown.exc_traceback),
    )
    sys.unraisablehook = lambda thrown: log.error(
        "unraisable exception",
        exc_info=(thrown.exc_type, thrown.exc_value or BaseException(), thrown.exc_traceback),
    )


def facts_of(record: logging.LogRecord) -> dict[str, object]:
    known = record.__dict__
    return {name: known[name] for name in FIELDS if name in known}


def where(record: logging.LogRecord) -> str:
    """Returns the error's type and place; unlike a traceback's text, these cannot quote personal data."""
    if not record.exc_info or record.exc_info[0] is None:
        return ""
    trace = record.exc_info[2]
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f" at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else ""
    return f"{record.exc_info[0].__name__}{place}"


_encode = json.JSONEncoder(default=str).encode


@lru_cache(maxsize=4)
def _second(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").removesuffix("+00:00")


def _instant(created: float) -> str:
    """Formats like isoformat(timespec="milliseconds"), which takes as long as the rest of the line together."""
    at, milliseconds = divmod(int(created * 1000), 1000)
    return f"{_second(at)}.{milliseconds:03d}+00:00"


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": _instant(record.created),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **facts_of(record),
        }
        if error := where(record):
            line["error"] = error
        return _encode(line)


class TextFormatter(logging.Formatter):
    """Text for people, in UTC: a run of a handler is an aligned line, other records are a message with its fields."""

    def format(self, record: logging.LogRecord) -> str:
        at = time.strftime("%H:%M:%SZ", time.gmtime(record.created))
        facts = facts_of(record)
        if all(name in facts for name in RUN_FIELDS):
            return self._run(at, facts)
        known = "  ".join(f"{name}={value}" for name, value in facts.items())
        level = "" if record.levelno == logging.INFO else f"{record.levelname} "
        return "  ".join(part for part in (at, level + record.getMessage(), known, where(record)) if part)

    def _run(self, at: str, facts: dict[str, object]) -> str:
        """One line of at most 80 columns where names are short, and another for what is not as usual."""
        start, event_id = f"{at}  {facts['event_type']:<20}", str(facts["event_id"])[:8]
        line = f"{start}  {event_id}  {facts['handler']:<16}  {facts['outcome']:<7}  {facts['elapsed_ms']:>5} ms"
        attempt = f"attempt {facts['attempt']}" if facts["attempt"] != 1 or "error_type" in facts else ""
        again = f", again in {facts['delay_seconds']} s" if "delay_seconds" in facts else ""
        error = f"  {facts['error_type']}" if "error_type" in facts else ""
        details = attempt + again + error
        return f"{line}\n{'':{len(at)}}  {details}" if details else line
