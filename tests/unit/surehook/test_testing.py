"""The kit for handler authors: running handlers."""

import asyncio
import signal
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from harness.events import TENANT_ID, USER_ID
from surehook import Attempt, Permanent, Reject, RetryLater, on
from surehook.events import UserAction, UserDelete
from surehook.shared.models import Event
from surehook.testing import Ran, an_event, deliver, run_handler
from surehook.testing_runs import MOST_RUNS
from surehook.workers.handlers import registry

pytest_plugins = ["surehook.pytest_plugin"]


@pytest.fixture(autouse=True)
def _nothing_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "declared", [])


def say(error: BaseException | None) -> Callable[[Any], None]:
    def handler(event: Any) -> None:
        if error is not None:
            raise error

    return handler


@pytest.mark.parametrize(
    ("error", "attempt", "outcome", "delay_seconds", "is_dead_letter"),
    [
        pytest.param(None, 1, "done", None, False, id="returns"),
        pytest.param(OSError(), 1, "failed", 5, False, id="raises"),
        pytest.param(OSError(), 2, "failed", 20, False, id="raises again"),
        pytest.param(OSError(), 3, "failed", None, True, id="raises for the last time"),
        pytest.param(Permanent(), 1, "permanent", None, True, id="raises Permanent"),
        pytest.param(RetryLater(60), 9, "later", 60, False, id="raises RetryLater"),
        pytest.param(SystemExit(1), 1, "failed", 5, False, id="raises SystemExit"),
    ],
)
def test_a_run_has_the_same_result_as_in_a_worker(
    error: BaseException | None, attempt: int, outcome: str, delay_seconds: float | None, is_dead_letter: bool
) -> None:
    handler = on("user.delete", name="it", retries=2)(say(error))

    ran = run_handler(handler, an_event("user.delete"), attempt=attempt)

    assert ran == Ran("it", attempt, outcome, error, delay_seconds)
    assert ran.is_dead_letter == is_dead_letter


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        pytest.param(None, "done", id="returns"),
        pytest.param(Reject("no"), "rejected", id="rejects"),
        pytest.param(OSError(), "failed", id="raises"),
        pytest.param(RetryLater(60), "later", id="raises RetryLater"),
    ],
)
def test_the_outcome_of_a_transactional_handler_is_the_answer_and_it_never_runs_again(
    error: BaseException | None, outcome: str
) -> None:
    on("user.create", name="check", transactional=True)(say(error))

    (ran,) = deliver(an_event("user.create"))["check"]

    assert ran == Ran("check", 1, outcome, error, None, is_answer=True)
    assert not ran.is_dead_letter


def test_a_handler_is_given_its_attempt() -> None:
    seen: list[tuple[int, bool, float]] = []

    @on("user.delete", timeout=20)
    async def handler(event: UserDelete, attempt: Attempt) -> None:
        await asyncio.sleep(0)
        left = (attempt.deadline - datetime.now(UTC)).total_seconds()
        seen.append((attempt.number, attempt.is_ours(), left))

    run_handler(handler, an_event("user.delete"), attempt=3, is_ours=False)

    ((number, is_ours, left),) = seen
    assert (number, is_ours) == (3, False)
    assert 0 < left <= 20


@pytest.mark.parametrize("is_async", [True, False])
def test_a_handler_is_stopped_after_its_timeout(is_async: bool) -> None:
    @on("user.delete", name="plain", timeout=0.05)
    def plain(event: Event) -> None:
        for _ in range(200):  # each of its steps is short: a thread inside of a C call cannot be stopped
            threading.Event().wait(0.05)

    @on("user.delete", name="async", timeout=0.05)
    async def waiting(event: Event) -> None:
        await asyncio.Event().wait()

    ran = run_handler(waiting if is_async else plain, an_event("user.delete"))

    assert ran.outcome == "timed out"


def test_deliver_runs_every_matching_handler_until_it_is_done_or_dead() -> None:
    tries: list[int] = []

    @on("user.*", name="third_time", backoff=[1, 2])
    def third_time(event: Event, attempt: Attempt) -> None:
        tries.append(attempt.number)
        if attempt.number < 3:
            raise OSError

    on("user.delete", name="never", retries=1)(say(OSError()))
    on("group.*", name="other")(say(None))
    on("user.delete", name="theirs", tenant=USER_ID)(say(None))
    on("user.delete", name="ours", tenant=TENANT_ID)(say(None))
    on("user.delete", name="for_ever")(say(RetryLater(1)))

    runs = deliver(an_event("user.delete", tenant_id=TENANT_ID))

    assert {name: [ran.outcome for ran in each] for name, each in runs.items() if name != "for_ever"} == {
        "third_time": ["failed", "failed", "done"],
        "never": ["failed", "failed"],
        "ours": ["done"],
    }
    assert [ran.delay_seconds for ran in runs["third_time"]] == [1, 2, None]
    assert tries == [1, 2, 3]
    assert runs["never"][-1].is_dead_letter
    assert len(runs["for_ever"]) == MOST_RUNS
    assert deliver(an_event("entity.create")) == {}


def test_retry_later_spends_no_retry() -> None:
    @on("user.delete", name="it", retries=1)
    def handler(event: Event, attempt: Attempt) -> None:
        raise RetryLater(1) if attempt.number < 4 else OSError

    (runs,) = deliver(an_event("user.delete"), handler).values()

    assert [ran.outcome for ran in runs] == ["later"] * 3 + ["failed"] * 2


def test_deliver_to_some_handlers_does_not_run_the_others() -> None:
    one = on("user.delete", name="one")(say(None))
    on("user.delete", name="two")(say(AssertionError("not asked for")))

    assert list(deliver(an_event("user.delete"), one)) == ["one"]
    assert list(deliver(an_event("user.delete"), __import__(__name__, fromlist=["_"]))) == ["one", "two"]


def test_a_function_that_is_no_handler_of_the_event_is_an_error() -> None:
    handler = on("user.create", "user.update", name="it")(say(None))

    with pytest.raises(ValueError, match=r"handler is for user\.create user\.update"):
        run_handler(handler, an_event("user.delete"))
    for call in (run_handler, lambda function, event: deliver(event, function)):
        with pytest.raises(ValueError, match=r"handler has no @on"):
            call(say(None), an_event("user.delete"))


def test_a_thread_or_loop_that_cannot_run_a_handler_is_an_error() -> None:
    async def nothing() -> None: ...

    @on("user.delete", name="it")
    async def handler(event: Event) -> None: ...

    async def inside() -> None:
        with pytest.raises(RuntimeError, match="in an async test, await run_handler_async"):
            run_handler(handler, an_event("user.delete"))

    def beside() -> None:
        with pytest.raises(RuntimeError, match="main thread"):
            run_handler(handler, an_event("user.delete"))
        raised.append(True)

    raised: list[bool] = []
    asyncio.run(inside())
    thread = threading.Thread(target=beside)
    thread.start()
    thread.join()

    assert raised == [True]


def test_ctrl_c_stops_the_tests_and_not_the_handler() -> None:
    handler = on("user.delete", name="it")(say(KeyboardInterrupt()))

    with pytest.raises(KeyboardInterrupt):
        run_handler(handler, an_event("user.delete"))


@pytest.fixture
def timer() -> Iterator[None]:
    before = signal.getitimer(signal.ITIMER_REAL)
    signal.setitimer(signal.ITIMER_REAL, 100)
    yield
    signal.setitimer(signal.ITIMER_REAL, *before)


def test_the_timer_of_the_test_keeps_running(timer: None) -> None:
    began = time.monotonic()

    run_handler(on("user.delete", name="it")(say(None)), an_event("user.delete"))

    assert 100 - (time.monotonic() - began) - 1 < signal.getitimer(signal.ITIMER_REAL)[0] <= 100


def test_the_fixtures_are_the_functions(
    an_event: Callable[..., Any], run_handler: Callable[..., Ran], deliver: Callable[..., Any]
) -> None:
    handler = on("user.action", name="it")(say(None))
    event = an_event(UserAction, expiry=datetime(2030, 1, 1, tzinfo=UTC))

    assert run_handler(handler, event).outcome == deliver(event, handler)["it"][0].outcome == "done"
