"""The place where a test runs handlers: its own thread."""

from workers.timeouts import Alarm
from workers.transactions import Transaction


class Here:
    """The place of a run: the thread of the test."""

    def __init__(self) -> None:
        self.alarm = Alarm()

    def begin(self, due_at: float) -> None:
        pass

    def is_ours(self) -> bool:
        return True

    def take(self, transaction: Transaction) -> None:
        pass

    def ran(self) -> None:
        pass

    def leave(self) -> None:
        pass
