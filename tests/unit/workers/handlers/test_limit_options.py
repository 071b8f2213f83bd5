"""The options of `@on` that limit a handler."""

from collections.abc import Iterator
from typing import Any

import pytest

from surehook.shared.errors import Misconfigured
from surehook.shared.limits import Limits
from surehook.workers.handlers import registry as registry_module
from surehook.workers.handlers.errors import RetryLater
from surehook.workers.handlers.registry import Registry, on


@pytest.fixture(autouse=True)
def _nothing_declared() -> Iterator[None]:
    before = registry_module.declared[:]
    registry_module.declared.clear()
    yield
    registry_module.declared[:] = before


def it(event: object) -> None:
    pass


def declared(**options: Any) -> Registry:
    on("user.create", name="it", **options)(it)
    return Registry(registry_module.declared)


@pytest.mark.parametrize(
    ("options", "limits"),
    [
        pytest.param({"concurrency": 3}, Limits(3), id="concurrency"),
        pytest.param({"rate": "100/m"}, Limits(rate="100/m"), id="rate"),
        pytest.param({"breaker": True}, Limits(), id="breaker alone"),
        pytest.param({"concurrency": 1, "breaker": False}, Limits(1, has_breaker=False), id="without breaker"),
    ],
)
def test_a_limited_handler_has_a_queue_of_its_own_beside_that_of_its_workers(
    options: dict[str, Any], limits: Limits
) -> None:
    registry = declared(queue="slow", **options)

    assert registry.limited("slow") == {"slow.it": limits}
    assert registry.limited("events") == {}
    assert registry.queues == ["events", "slow"]


@pytest.mark.parametrize("options", [{}, {"breaker": False}])
def test_a_handler_without_limits_shares_its_queue(options: dict[str, Any]) -> None:
    registry = declared(**options)

    assert registry.limited("events") == {}
    assert [handler.queue for handler in registry] == ["events"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"concurrency": 0}, "concurrency must be a whole number from 1 to 100000, not 0"),
        ({"concurrency": True}, "concurrency must be a whole number"),
        ({"concurrency": "3"}, "concurrency must be a whole number"),
        ({"rate": "100/minute"}, 'a rate is a number and s, m, h or d, as in "100/m"'),
        ({"rate": 100}, 'a rate is a number and s, m, h or d, as in "100/m"'),
        ({"breaker": "yes"}, "breaker must be True or False, not 'yes'"),
        ({"concurrency": 1, "transactional": True}, "not for transactional=True"),
        ({"breaker": True, "transactional": True}, "not for transactional=True"),
    ],
    ids=str,
)
def test_a_wrong_limit_stops_the_import_with_a_sentence(options: dict[str, Any], words: str) -> None:
    with pytest.raises(Misconfigured, match=words):
        declared(**options)


def test_retry_later_for_everyone_is_said_by_name() -> None:
    assert RetryLater(30, everyone=True).everyone
    assert not RetryLater(30).everyone
