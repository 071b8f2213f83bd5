"""Every failed attempt keeps its masked traceback, and `events show` prints it."""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
import redis
from click.testing import CliRunner

from harness.events import USER_ID, an_event
from surehook import Attempt, Event, Reject, RetryLater, on
from surehook.main import cli
from surehook.shared.settings import Settings
from surehook.shared.tracebacks import LONGEST
from surehook.workers.handlers.registry import on as untyped_on
from tests.integration.conftest import Accept, RunWorker

EMAIL = "mara.lindqvist@example.com"
Show = Callable[..., str]


@pytest.fixture
def show(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Show:
    monkeypatch.setenv("SUREHOOK_DATA_DIR", str(settings.data_dir))

    def show(event_id: str, *options: str) -> str:
        shown = CliRunner().invoke(cli, ["events", "show", event_id, *options], catch_exceptions=False)
        assert shown.exit_code == 0
        return shown.output

    return show


def tracebacks(show: Show, event_id: str) -> list[str]:
    return [attempt.get("traceback", "") for attempt in json.loads(show(event_id, "--json"))["attempts"]]


def look_up(email: str) -> None:
    raise LookupError(f"no account of {email}")


async def look_up_later(email: str) -> None:
    await asyncio.sleep(0)
    look_up(email)


def test_each_failed_attempt_is_shown_with_its_own_masked_traceback(
    accept: Accept, run_worker: RunWorker, make_due: Callable[..., int], show: Show
) -> None:
    @on("user.delete", name="it", retries=2, backoff=[60])
    def forget(event: Any, attempt: Attempt) -> None:
        if attempt.number == 1:
            raise OSError("the first time")
        try:
            look_up(event.user.email)
        except LookupError as exc:
            raise ValueError("the second time") from exc

    event_id = accept(user={"id": USER_ID, "email": EMAIL})
    run_worker()
    make_due()
    run_worker()

    first, second = tracebacks(show, event_id)
    assert [line.strip() for line in first.splitlines()] == [
        "Traceback (most recent call last):",
        f'File "{__file__}", line {forget.__code__.co_firstlineno + 3}, in forget',
        'raise OSError("the first time")',
        "OSError: the first time",
    ]
    assert second.index("LookupError: no account of ***") < second.index("ValueError: the second time")
    assert "in look_up\n" in second
    printed = show(event_id)
    for text in (first, second):
        assert all(line in printed for line in text.splitlines())
    assert EMAIL not in printed


@pytest.mark.parametrize("is_async", [False, True])
def test_frames_of_surehook_are_left_out(accept: Accept, run_worker: RunWorker, show: Show, *, is_async: bool) -> None:
    def plain(event: Any) -> None:
        look_up(event.user.email)

    async def later(event: Any) -> None:
        async with asyncio.timeout(30):
            await look_up_later(event.user.email)

    on("user.delete", name="it")(later if is_async else plain)
    event_id = accept(user={"id": USER_ID, "email": EMAIL})
    run_worker()

    (text,) = tracebacks(show, event_id)
    files = {line.split('"')[1] for line in text.splitlines() if line.strip().startswith("File ")}
    assert files == {__file__}
    assert text.endswith("LookupError: no account of ***\n")


def test_a_run_that_was_cut_off_keeps_where_it_was(accept: Accept, run_worker: RunWorker, show: Show) -> None:
    @on("user.delete", name="it", timeout=0.2)
    async def wait(event: Event) -> None:
        await asyncio.sleep(30)

    event_id = accept()
    run_worker()

    (text,) = tracebacks(show, event_id)
    assert "in wait\n    await asyncio.sleep(30)" in text
    assert text.rstrip().endswith("HandlerTimeout: ran longer than 0.2 s")


def test_a_run_that_turned_its_timeout_into_another_error_keeps_both(
    accept: Accept, run_worker: RunWorker, show: Show
) -> None:
    @on("user.delete", name="it", timeout=0.2)
    def wait(event: Event) -> None:
        try:
            while True:
                time.sleep(0.01)
        except BaseException as exc:
            raise OSError("gone") from exc

    event_id = accept()
    run_worker()

    (text,) = tracebacks(show, event_id)
    assert text.index("time.sleep(0.01)") < text.index("OSError: gone") < text.index("HandlerTimeout: ran longer")


def test_a_postponed_run_has_not_failed(accept: Accept, run_worker: RunWorker, show: Show) -> None:
    @on("user.delete", name="it")
    def later(event: Event) -> None:
        raise RetryLater(60)

    event_id = accept()
    run_worker()

    assert tracebacks(show, event_id) == [""]


def test_a_traceback_is_bounded_and_compressed(
    accept: Accept, run_worker: RunWorker, show: Show, store: redis.Redis
) -> None:
    @on("user.delete", name="it", retries=0)
    def fail(event: Event) -> None:
        raise ValueError("word " * 100_000)

    event_id = accept()
    run_worker()

    (text,) = tracebacks(show, event_id)
    assert len(text) < LONGEST + 100
    assert "characters left out" in text
    assert len(store.lrange(f"surehook:attempts:{event_id}", 0, -1)[0]) < 4096


def test_a_transaction_that_failed_keeps_it(decide: Any, show: Show) -> None:
    def fail(event: Any) -> None:
        look_up(event.user.email)

    untyped_on("user.create", name="check", transactional=True)(fail)
    failed = an_event("user.create", user={"id": USER_ID, "email": EMAIL})
    decide(failed)
    (text,) = tracebacks(show, failed["id"])

    assert "in look_up\n" in text
    assert text.endswith("LookupError: no account of ***\n")


def test_a_refusal_keeps_none(decide: Any, show: Show) -> None:
    def refuse(event: Any) -> None:
        raise Reject("no")

    untyped_on("user.create", name="check", transactional=True)(refuse)
    refused = an_event("user.create")
    decide(refused)

    assert tracebacks(show, refused["id"]) == [""]
