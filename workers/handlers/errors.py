"""How a handler says what shall happen next, other than by returning or by any other exception."""

LONGEST_DELAY_SECONDS = 86_400


class Permanent(Exception):
    """Never run this again: a dead letter at once, whatever is left of the budget."""


class Reject(Permanent):
    """A transactional handler says no, in words for FusionAuth's event log. Elsewhere: a dead letter at once.

    An exception is welcome as words: `raise Reject(exc) from exc`.
    """

    message = ""  # also of a subclass that does not hand its words on

    def __init__(self, message: object) -> None:
        self.message = str(message)
        super().__init__(self.message)


class RetryLater(Exception):
    """Run this again in so many seconds, up to a day. Spends no retry."""

    seconds: float = 60.0  # of a subclass that does not say

    def __init__(self, seconds: float) -> None:
        if not 0 <= seconds <= LONGEST_DELAY_SECONDS:
            raise ValueError(f"RetryLater takes 0 to {LONGEST_DELAY_SECONDS} seconds, not {seconds}")
        super().__init__(seconds)
        self.seconds = float(seconds)


class HandlerTimeout(BaseException):
    """A handler ran longer than its timeout.

    Raised inside the handler, and no Exception, so that its own `except Exception` does not swallow it.
    """
