"""How many claims the fetcher asks for, when it gives some back, and what it does first."""

from typing import Any

import pytest

from surehook.workers.claim import Claim
from surehook.workers.queue import acks
from surehook.workers.queue.completion import Completion
from surehook.workers.queue.fetcher import Fetcher
from surehook.workers.queue.prefetch import Prefetch
from surehook.workers.queue.threads import Finished, JobInProgress


class Nothing:
    """Stands for parts that the number of claims does not depend on."""

    count = 100
    queue = "events"

    def exchange_script(self) -> None: ...


def a_job(number: int, *, has_finished: bool = False, shown: int = acks.RUN_SHOWN) -> JobInProgress:
    claim = Claim("events", str(number), "token-1-1", 1, 0, 0, "it", "user.create", "", "", b"")
    return JobInProgress(claim, number, 0.0, 100.0, started_at=1.0, has_finished=has_finished, shown=shown)


def a_fetcher(prefetch: Prefetch, *jobs: JobInProgress) -> Fetcher:
    parts: Any = Nothing()
    fetcher = Fetcher(parts, parts, parts, prefetch, parts, lambda: None, lambda: False)
    fetcher._jobs._by_claim = {job.claim.job_id: job for job in jobs}  # noqa: SLF001
    return fetcher


@pytest.mark.parametrize(("has_finished", "wanted"), [(True, 12), (False, 8)])
def test_a_finished_job_that_is_not_acknowledged_yet_does_not_count_as_long_running(
    has_finished: bool, wanted: int
) -> None:
    prefetch = Prefetch(8)
    prefetch.record(0.002, 8, now=1.0)
    fetcher = a_fetcher(prefetch, *(a_job(number, has_finished=has_finished) for number in range(8)))

    assert fetcher._wanted(fetcher._sources.first, now=2.0) == wanted  # noqa: SLF001


@pytest.mark.parametrize(
    ("slow", "given_back"),
    [pytest.param(8, ["8", "9"], id="by all threads"), pytest.param(7, [], id="by all threads but one")],
)
def test_jobs_that_wait_go_back_at_once_when_slow_handlers_are_run(slow: int, given_back: list[str]) -> None:
    running = [a_job(number, shown=acks.WORKER_SHOWN if number < slow else acks.RUN_SHOWN) for number in range(8)]
    waiting = [a_job(8), a_job(9)]
    fetcher = a_fetcher(Prefetch(8), *running, *waiting)
    for job in waiting:
        job.received_at = 1.99
        fetcher.handoff.put(job)

    fetcher._give_back_waiting_jobs(now=2.0)  # noqa: SLF001

    sent = [ack.claim.job_id for ack, *_ in fetcher._sources.first.acks]  # noqa: SLF001
    assert sent == given_back[::-1], "each goes to the front of the queue"


def test_what_has_finished_is_acknowledged_before_the_log_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    job = a_job(0, has_finished=True)
    fetcher = a_fetcher(Prefetch(1), job)
    monkeypatch.setattr(fetcher, "_wanted", lambda *_: 0)  # nothing to claim
    steps: list[str] = []
    monkeypatch.setattr(fetcher, "_exchange", lambda *_: steps.append("exchange"))
    monkeypatch.setattr(fetcher, "_hand_over_and_log", lambda: steps.append("log"))
    fetcher.inbox.put(Finished(job, Completion(acks.give_back(job.claim))))

    fetcher.step()

    assert steps == ["exchange"], "which writes the log while the store works"
