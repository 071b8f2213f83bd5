"""Masks the error of a transactional handler: for the attempt's record, and for FusionAuth."""

from collections.abc import Callable

from surehook.shared.models import parse_deep_event
from surehook.workers.execution.masking.error_text import bounded, line_of, message_of, one_line
from surehook.workers.execution.masking.masker import Masker
from surehook.workers.handlers.errors import Reject

LONGEST_REASON = 500
LONGEST_READ = 2_000  # characters of a message that are masked


def masked(error: BaseException | None, body: bytes, finish_runs: Callable[[], None]) -> tuple[str, str]:
    """The error in one line, and the message of a refusal.

    `finish_runs` is called when no more of the user's code runs: the supervisor must not kill what follows.
    """
    if error is None:
        return "", ""
    texts = [message_of(error), bounded(error.message, LONGEST_READ) if isinstance(error, Reject) else ""]
    finish_runs()
    message, reason = Masker(parse_deep_event(body)).mask_all(texts)
    return line_of(type(error).__name__, message), one_line(reason[:LONGEST_REASON])
