"""The run context of a test: its own thread."""

from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from surehook.workers.execution.timeouts import Timeout
from surehook.workers.transactional.transaction import Transaction


class TestContext:
    """A run context without limits; its timeout fires in the thread of the test."""

    __test__ = False

    def __init__(self) -> None:
        self.timeout = Timeout()
        self.ended: SimpleQueue[Callable[[], Any]] = SimpleQueue()
        """The rest of each job whose `async` handler has ended."""

    def start_run(self, deadline: float, thread: int = 0) -> None:
        pass

    def is_ours(self) -> bool:
        return True

    def reserve(self, transaction: Transaction) -> None:
        pass

    def finish_runs(self) -> None:
        pass

    def resume(self, finish: Callable[[], Any]) -> None:
        self.ended.put(finish)

    def free(self) -> None:
        pass
