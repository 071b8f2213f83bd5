"""The parts of a log line besides its message and its allowed fields: a user's own facts, and tracebacks.

A record of the user's code is written whole: its `extra`, its traceback and its stack. Records of Surehook and of the
libraries that it uses keep to the allow-list, because what they pass on may quote an event.
"""

import contextlib
import json
import logging
from typing import NamedTuple

# The endpoint and the workers use these; what they log of an error or a task may quote an event.
STRICT = frozenset({"surehook", "asyncio", "concurrent", "redis", "rq", "uvicorn", "starlette", "httpx", "httpcore"})
_STANDARD = frozenset({*logging.makeLogRecord({}).__dict__, "message", "asctime", "taskName"})
_plain = logging.Formatter()
_encode = json.JSONEncoder(default=str).encode


class Details(NamedTuple):
    """The parts that a process adds to its lines."""

    runs_handlers: bool = False
    """Loggers of the user's code are there."""
    shows_tracebacks: bool = False
    """It is a worker of `surehook dev`: a failed run is shown with its traceback."""
    is_coloured: bool = False

    def is_users(self, record: logging.LogRecord) -> bool:
        return self.runs_handlers and str(record.name).partition(".")[0] not in STRICT


def message_of(record: logging.LogRecord) -> str:
    """The message. asyncio's is replaced: it quotes the error and the arguments of a task."""
    return "error in an event loop" if record.name == "asyncio" else record.getMessage()


def place_of(record: logging.LogRecord) -> str:
    """Returns the error's type and place; unlike a traceback's text, these cannot quote personal data."""
    if not record.exc_info or record.exc_info[0] is None:
        return ""
    trace = record.exc_info[2]
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f" at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else ""
    return f"{record.exc_info[0].__name__}{place}"


def extra_of(record: logging.LogRecord) -> dict[str, object]:
    """The fields that the user's code passed in `extra`, as JSON can have them."""
    return {name: _encodable(value) for name, value in record.__dict__.items() if name not in _STANDARD}


def traceback_of(record: logging.LogRecord) -> str:
    """The traceback of `exception()` and the stack of `stack_info=True`, as logging itself would write them."""
    parts = [_plain.formatException(record.exc_info) if record.exc_info and record.exc_info[0] else record.exc_text]
    parts += [record.stack_info]
    return "\n".join(part for part in parts if part)


def _encodable(value: object) -> object:
    """The value, or how Python shows it; a field must not cost the line."""
    with contextlib.suppress(Exception):
        _encode(value)
        return value
    with contextlib.suppress(Exception):
        return repr(value)
    return f"({type(value).__name__})"
