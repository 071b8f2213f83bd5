"""How many claims the fetcher asks for."""

from typing import Any

import pytest

from surehook.workers.claim import Claim
from surehook.workers.queue.fetcher import Fetcher
from surehook.workers.queue.prefetch import Prefetch
from surehook.workers.queue.threads import JobInProgress


class Nothing:
    """Stands for parts that the number of claims does not depend on."""

    count = 100
    queue = "events"

    def exchange_script(self) -> None: ...


def a_job(number: int, *, has_finished: bool) -> JobInProgress:
    claim = Claim("events", str(number), "token-1-1", 1, 0, 0, "it", "user.create", "", "", b"")
    return JobInProgress(claim, number, 0.0, 100.0, started_at=1.0, has_finished=has_finished)


@pytest.mark.parametrize(("has_finished", "wanted"), [(True, 12), (False, 8)])
def test_a_finished_job_that_is_not_acknowledged_yet_does_not_count_as_long_running(
    has_finished: bool, wanted: int
) -> None:
    parts: Any = Nothing()
    prefetch = Prefetch(8)
    prefetch.record(0.002, 8)
    fetcher = Fetcher(parts, parts, parts, prefetch, parts, lambda: None, lambda: False)
    fetcher._jobs = {str(number): a_job(number, has_finished=has_finished) for number in range(8)}  # noqa: SLF001

    assert fetcher._wanted(fetcher._sources.first, now=2.0) == wanted  # noqa: SLF001
