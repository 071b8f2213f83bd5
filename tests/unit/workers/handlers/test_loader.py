"""Handlers and SUREHOOK_TRANSACTIONAL_EVENTS must mean the same events."""

from collections.abc import Iterator
from typing import Any

import pytest

from harness.events import TENANT_ID, USER_ID
from surehook.shared.errors import Misconfigured
from surehook.shared.transactional_events import transactional_types
from surehook.workers.handlers import registry
from surehook.workers.handlers.loader import require_agreement
from surehook.workers.handlers.registry import Registry, on


@pytest.fixture(autouse=True)
def _nothing_declared() -> Iterator[None]:
    before = registry.declared[:]
    registry.declared.clear()
    yield
    registry.declared[:] = before


def decide(event: Any) -> None: ...


def undo(event: Any) -> None: ...


def check(*entries: str) -> None:
    require_agreement(Registry(registry.declared), transactional_types(entries))


@pytest.mark.parametrize(
    ("terms", "entries", "says"),
    [
        pytest.param({}, (), "does not list it.*add user.create there", id="not listed"),
        pytest.param(
            {}, ("user.create", "user.delete"), "no transactional handler matches it", id="listed, no handler"
        ),
        pytest.param({"tenant": USER_ID}, (f"{TENANT_ID}:user.create",), "does not list it", id="another tenant's"),
        pytest.param(
            {"tenant": USER_ID}, (f"{TENANT_ID}:user.create",), "no transactional handler matches", id="and the reverse"
        ),
        pytest.param(
            {"transactional": False}, ("user.create",), "no transactional handler matches", id="not transactional"
        ),
    ],
)
def test_a_disagreement_says_what_to_change(terms: dict[str, Any], entries: tuple[str, ...], says: str) -> None:
    on("user.create", name="decide", **{"transactional": True, **terms})(decide)

    with pytest.raises(Misconfigured, match=says):
        check(*entries)


@pytest.mark.parametrize(
    ("types", "terms", "entries"),
    [
        pytest.param(("user.create",), {}, ("user.create",), id="the same type"),
        pytest.param(("user.create",), {}, (f"{TENANT_ID}:user.create",), id="for one tenant"),
        pytest.param(("user.create",), {"tenant": TENANT_ID}, ("user.create",), id="a handler for one tenant"),
        pytest.param(("user.*",), {}, ("user.create", "user.delete"), id="a pattern"),
        pytest.param(("user.create",), {"application": USER_ID}, ("user.create",), id="for one application"),
    ],
)
def test_agreement(types: tuple[str, ...], terms: dict[str, Any], entries: tuple[str, ...]) -> None:
    on(*types, name="decide", transactional=True, **terms)(decide)

    check(*entries)


def test_a_pattern_that_matches_no_listed_type_is_refused() -> None:
    on("group.*", name="decide", transactional=True)(decide)

    with pytest.raises(Misconfigured, match="lists none of them"):
        check()


@pytest.mark.parametrize(
    ("types", "terms", "says"),
    [
        pytest.param(("user.create.complete",), {}, "after the commit.*use user.create", id="after the commit"),
        pytest.param(("user.password.update",), {}, "ignores responses", id="never waits"),
        pytest.param(("user.create",), {"queue": "transactional"}, "is reserved for transactions", id="the queue"),
        pytest.param(
            ("user.create",), {"transactional": False, "on_abandoned": undo}, "with transactional=True", id="undo alone"
        ),
        pytest.param(("user.create",), {"on_abandoned": lambda: None}, r"takes \(event\)", id="undo's signature"),
    ],
)
def test_wrong_options_are_refused(types: tuple[str, ...], terms: dict[str, Any], says: str) -> None:
    with pytest.raises(Misconfigured, match=says):
        on(*types, **{"transactional": True, **terms})(decide)


def test_a_transactional_handler_runs_for_ordinary_events_only_when_they_are_committed() -> None:
    on("user.create", name="decide", transactional=True, on_abandoned=undo, timeout=3)(decide)
    on("user.create", name="tell")(undo)
    handlers = Registry(registry.declared)

    assert [each.name for each in handlers.transactional_for("user.create", "", "")] == ["decide"]
    assert [each.name for each in handlers.for_event("user.create", "", "")] == ["tell"]
    assert [each.name for each in handlers.for_event("user.create", "", "", committed=True)] == ["decide", "tell"]
    assert handlers.queues == ["events", "transactional"]


def test_on_abandoned_runs_under_an_id_of_its_own() -> None:
    on("user.create", name="decide", transactional=True, on_abandoned=undo, retries=3)(decide)

    found = Registry(registry.declared).named("decide-abandoned")

    assert found is not None
    assert (found.function, found.policy.retries, found.queue) == (undo, 3, "events")
    on("test", name="decide-abandoned")(decide)
    with pytest.raises(Misconfigured, match="two handlers are called decide-abandoned"):
        Registry(registry.declared)
