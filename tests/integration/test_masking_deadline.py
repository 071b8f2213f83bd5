"""Masking is no part of a run: the supervisor kills no process for it. The user's code before it is part of the run."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from surehook import Event, on
from surehook.workers.execution.masking.error_text import MaskedError, mask_error
from surehook.workers.execution.runner import RunResult, RunStatus
from surehook.workers.handlers import registry
from surehook.workers.queue import completion
from surehook.workers.queue.completion import completion_of
from tests.integration.conftest import Accept, Open

AFTER_EVERY_DEADLINE = 1e12


def test_no_process_is_killed_while_it_masks(
    accept: Accept, open_worker_harness: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_end, is_masking = threading.Event(), threading.Event()

    def mask(*args: Any) -> MaskedError:
        is_masking.set()
        may_end.wait(60)
        return mask_error(*args)

    @on("user.delete", name="it", retries=0)
    def fail(event: Event) -> None:
        raise ValueError

    monkeypatch.setattr(completion, "mask_error", mask)
    accept()
    worker_harness = open_worker_harness(threads=1).start()

    assert is_masking.wait(20)
    overdue = worker_harness.slots.overdue(AFTER_EVERY_DEADLINE)
    may_end.set()

    assert overdue == []


def test_an_error_whose_text_hangs_is_shown_where_it_hangs_after_an_async_run_too(
    accept: Accept, open_worker_harness: Open
) -> None:
    may_end, is_asked = threading.Event(), threading.Event()

    class Hangs(Exception):
        def __str__(self) -> str:
            is_asked.set()
            return str(may_end.wait(60))

    @on("user.delete", name="it", retries=0)
    async def it(_: Event) -> None:
        raise Hangs

    accept()
    worker_harness = open_worker_harness(threads=1).start()
    assert is_asked.wait(20)
    (overdue,) = worker_harness.slots.overdue(AFTER_EVERY_DEADLINE)
    may_end.set()

    assert overdue.thread == worker_harness.threads[0].ident


def test_a_run_ends_when_no_more_of_the_users_code_is_called(accept: Accept, claims_of: Callable[..., Any]) -> None:
    called: list[str] = []

    class Talkative(Exception):
        def __str__(self) -> str:
            called.append("message")
            return "no"

    def backoff(spent: int) -> float:
        called.append("backoff")
        return 5

    on("user.delete", name="it", backoff=backoff)(lambda event: None)
    accept()
    claims = claims_of()
    result = RunResult(RunStatus.FAILED, datetime.now(UTC), 0.1, Talkative())

    completion_of(registry.declared[-1], claims.claim(), result, lambda: called.append("finished"))

    assert {"message", "backoff"} <= set(called)
    assert called.count("finished") == 1
    assert called[-1] == "finished"
