"""The exceptions with which a handler says how its run is to be treated."""

LONGEST_DELAY_SECONDS = 86_400


class Permanent(Exception):
    """Never run this again: the job becomes a dead letter immediately, with retries left or not."""


class Reject(Permanent):
    """Refuses a transaction, with a message for FusionAuth's event log. Elsewhere: an immediate dead letter.

    The message may be an exception: `raise Reject(exc) from exc`.
    """

    message = ""  # the default for a subclass that does not pass a message on

    def __init__(self, message: object) -> None:
        self.message = str(message)
        super().__init__(self.message)


class RetryLater(Exception):
    """Run this again after a number of seconds, up to a day. Spends no retry.

    With `everyone=True`, no other event of the handler starts until then either: an API said "429, come back later".
    The handler needs a queue of its own: `@on(…, concurrency=…)`, `rate=…` or `breaker=True`.
    """

    seconds: float = 60.0  # the default for a subclass that does not set it
    everyone: bool = False

    def __init__(self, seconds: float, *, everyone: bool = False) -> None:
        if not 0 <= seconds <= LONGEST_DELAY_SECONDS:
            raise ValueError(f"RetryLater takes 0 to {LONGEST_DELAY_SECONDS} seconds, not {seconds}")
        super().__init__(seconds)
        self.seconds = float(seconds)
        self.everyone = everyone


class HandlerTimeout(BaseException):
    """A handler ran longer than its timeout.

    It is raised inside the handler, and is no Exception, so that the handler's `except Exception` does not catch it.
    """
