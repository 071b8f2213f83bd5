import re
from collections.abc import Iterator
from typing import Any

import pytest

from harness.events import TENANT_ID, USER_ID
from surehook.shared.errors import Misconfigured
from surehook.workers.handlers import registry
from surehook.workers.handlers.registry import Registry, on


@pytest.fixture(autouse=True)
def _nothing_declared() -> Iterator[None]:
    before = registry.declared[:]
    registry.declared.clear()
    yield
    registry.declared[:] = before


def wanting(event_type: str, tenant_id: str = "", application_ids: str = "") -> list[str]:
    return [each.name for each in Registry(registry.declared).for_event(event_type, tenant_id, application_ids)]


@pytest.mark.parametrize(
    ("pattern", "event_type", "matches"),
    [
        pytest.param("user.create", "user.create", True, id="itself"),
        pytest.param("user.create", "user.create.complete", False, id="not what is longer"),
        pytest.param("user.*", "user.create.complete", True, id="a star crosses dots"),
        pytest.param("user.*", "userXcreate", False, id="a dot is a dot"),
        pytest.param("*.complete", "user.create.complete", True, id="a star in front"),
        pytest.param("*", "brand.new", True, id="everything"),
    ],
)
def test_patterns(pattern: str, event_type: str, matches: bool) -> None:
    @on(pattern, name="it")
    def handler(event: Any) -> None: ...

    assert wanting(event_type) == (["it"] if matches else [])


def test_a_handler_can_be_for_one_tenant_and_application() -> None:
    @on("*", name="theirs", tenant=TENANT_ID.upper(), application=USER_ID)
    def handler(event: Any) -> None: ...

    assert wanting("test", TENANT_ID, USER_ID) == ["theirs"]
    assert wanting("test", TENANT_ID, "") == []
    assert wanting("test", "", USER_ID) == []


def test_a_handler_for_an_application_runs_for_events_of_several() -> None:
    @on("user.action", name="theirs", application=USER_ID)
    def handler(event: Any) -> None: ...

    assert wanting("user.action", TENANT_ID, f"{TENANT_ID},{USER_ID}") == ["theirs"]
    assert wanting("user.action", TENANT_ID, f"{TENANT_ID},{TENANT_ID}") == []


@pytest.mark.parametrize("event_type", ["group.create", "user.bulk.create", "entity.*", "audit-log.create", "test"])
def test_a_filter_by_application_that_can_never_match_is_refused(event_type: str) -> None:
    with pytest.raises(Misconfigured, match=re.escape(f"{event_type} names no application")):
        on("user.create", event_type, application=USER_ID)(lambda event: None)


@pytest.mark.parametrize("event_type", ["event-log.create", "kickstart.success", "kickstart.*"])
def test_a_filter_by_tenant_that_can_never_match_is_refused(event_type: str) -> None:
    with pytest.raises(Misconfigured, match=re.escape(f"{event_type} is about the whole FusionAuth installation")):
        on("user.create", event_type, tenant=TENANT_ID)(lambda event: None)


@pytest.mark.parametrize("event_type", ["*", "user.*", "jwt.*", "brand.new.*", "jwt.public-key.update", "user.login.*"])
def test_a_filter_that_can_match_some_type_is_accepted(event_type: str) -> None:
    on(event_type, name="it", application=USER_ID, tenant=TENANT_ID)(lambda event: None)


def test_default_handler_id() -> None:
    @on("test")
    def handler(event: Any) -> None: ...

    assert registry.declared[0].name.endswith("test_registry_test_default_handler_id__locals__handler")


def test_two_handlers_with_one_id_are_refused_by_name() -> None:
    @on("test", name="twin")
    def one(event: Any) -> None: ...

    @on("test", name="twin")
    def other(event: Any) -> None: ...

    with pytest.raises(Misconfigured, match="two handlers are called twin"):
        Registry(registry.declared)


def test_two_ons_on_one_function_are_one_handler_for_both() -> None:
    @on("user.create", "user.update", name="it", backoff=[1, 2])
    @on("user.delete", "user.create", name="it", backoff=[1, 2])
    def it(event: Any) -> None: ...

    assert [wanting(each) for each in ("user.create", "user.update", "user.delete", "test")] == [["it"]] * 3 + [[]]


def test_two_ons_on_one_function_are_two_handlers_if_named_so() -> None:
    @on("user.create", name="first", retries=1)
    @on("user.create", name="second")
    def it(event: Any) -> None: ...

    assert wanting("user.create") == ["second", "first"]


@pytest.mark.parametrize(
    "terms",
    [
        {"retries": 1},
        {"backoff": [9]},
        {"timeout": 1},
        {"queue": "slow"},
        {"tenant": TENANT_ID},
        {"transactional": True},
    ],
)
def test_conflicting_ons_of_one_id_are_refused(terms: Any) -> None:
    @on("user.create", **terms)
    @on("user.delete")
    def it(event: Any) -> None: ...

    with pytest.raises(Misconfigured, match=r"two @on.* give each a name"):
        Registry(registry.declared)


@pytest.mark.parametrize(
    ("types", "terms", "says"),
    [
        pytest.param(("user.delet",), {}, "did you mean user.delete", id="unknown type"),
        pytest.param(("zzz",), {}, "zzz\\*", id="a newer type wants a pattern"),
        pytest.param((), {}, "at least one event type", id="no type"),
        pytest.param((7,), {}, "takes event types", id="a type that is no word"),
        pytest.param(("test",), {"retries": -1}, "retries must be", id="retries"),
        pytest.param(("test",), {"timeout": 0}, "timeout must be", id="timeout"),
        pytest.param(("test",), {"backoff": ()}, "backoff must hold", id="empty backoff"),
        pytest.param(("test",), {"backoff": [5, float("nan")]}, "backoff must hold", id="a delay that is no number"),
        pytest.param(("test",), {"backoff": [float("inf")]}, "backoff must hold", id="a delay without end"),
        pytest.param(("test",), {"timeout": float("inf")}, "timeout must be", id="no timeout"),
        pytest.param(("test",), {"timeout": float("nan")}, "timeout must be", id="a timeout that is no number"),
        pytest.param(("test",), {"name": "a b"}, "name must be", id="name"),
        pytest.param(("test",), {"queue": "a:b"}, "queue must be", id="queue"),
        pytest.param(("test",), {"tenant": "acme"}, "tenant must be a UUID", id="tenant"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(types: Any, terms: Any, says: str) -> None:
    def handler(event: Any) -> None: ...

    with pytest.raises(Misconfigured, match=says):
        on(*types, **terms)(handler)


@pytest.mark.parametrize(
    "handler",
    [
        pytest.param(lambda: None, id="nothing"),
        pytest.param(lambda event, attempt, more: None, id="three"),
        pytest.param(lambda event, *, needed: None, id="a needed keyword"),
        pytest.param(lambda **fields: None, id="keywords only"),
    ],
)
def test_a_handler_with_another_signature_is_refused(handler: Any) -> None:
    with pytest.raises(Misconfigured, match=r"\(event\) or \(event, attempt\)"):
        on("test")(handler)


def test_both_signatures_are_understood() -> None:
    on("test", name="plain")(lambda event: None)
    on("test", name="with_attempt")(lambda event, attempt: None)
    on("test", name="with_default")(lambda event, db=None: None)

    assert [each.parameters.accepts_attempt for each in registry.declared] == [False, True, False]
