"""Masks the error of a transactional handler: for the attempt's record, and for FusionAuth."""

from collections.abc import Callable

from surehook.shared.models import parse_deep_event
from surehook.workers.execution.masking.error_text import (
    NO_ERROR,
    MaskedError,
    bounded,
    error_text,
    line_of,
    mask_error,
    message_of,
    one_line,
    release_frames,
)
from surehook.workers.execution.masking.masker import Masker
from surehook.workers.handlers.errors import Reject

LONGEST_REASON = 500
LONGEST_READ = 2_000  # characters of a message that are masked


def masked(error: BaseException | None, body: bytes, finish_runs: Callable[[], None]) -> tuple[MaskedError, str]:
    """The error, and the message of a refusal. A refusal has no traceback: its sender waits, and nothing has failed.

    `finish_runs` is called when no more of the user's code runs: the supervisor must not kill what follows.
    """
    if error is None:
        return NO_ERROR, ""
    if not isinstance(error, Reject):
        text = error_text(error)
        release_frames(error)
        finish_runs()
        return mask_error(text, parse_deep_event(body)), ""
    texts = [message_of(error), bounded(error.message, LONGEST_READ)]
    release_frames(error)
    finish_runs()
    message, reason = Masker(parse_deep_event(body)).mask_all(texts)
    return MaskedError(line_of(type(error).__name__, message), ""), one_line(reason[:LONGEST_REASON])
