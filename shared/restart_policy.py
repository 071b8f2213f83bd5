"""Decides when a supervisor replaces a process that has ended."""

from surehook.shared.backoff import pause_seconds

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 10.0
STABLE_AFTER_SECONDS = 30.0


class RestartPolicy:
    """Restart immediately; back off exponentially when processes keep dying within 30 s of starting."""

    def __init__(self) -> None:
        self._early_deaths = 0

    def pause_before_restart(self, lived_seconds: float, *, is_failure: bool = True) -> float:
        """The seconds to wait before the process is replaced that has just ended after `lived_seconds`."""
        if lived_seconds > STABLE_AFTER_SECONDS or not is_failure:
            self._early_deaths = 0
            return 0.0
        self._early_deaths += 1
        if self._early_deaths == 1:
            return 0.0
        return pause_seconds(
            self._early_deaths, first_seconds=FIRST_PAUSE_SECONDS, longest_seconds=LONGEST_PAUSE_SECONDS
        )
