"""The run context of a test: its own thread."""

from surehook.workers.execution.timeouts import Timeout
from surehook.workers.transactional.transaction import Transaction


class TestContext:
    """A run context without limits; its timeout fires in the thread of the test."""

    __test__ = False

    def __init__(self) -> None:
        self.timeout = Timeout()

    def start_run(self, deadline: float) -> None:
        pass

    def is_ours(self) -> bool:
        return True

    def reserve(self, transaction: Transaction) -> None:
        pass

    def finish_runs(self) -> None:
        pass

    def free(self) -> None:
        pass
