"""The connections of a command to the store."""

import gc
from collections.abc import Iterator

import pytest
import redis

from harness.stack import wait_until
from surehook.shared.settings import Settings
from tests.support.command import command_on

UNKNOWN = "0a0a0a0a-0000-4000-8000-00000000000a"


@pytest.fixture
def _no_collection() -> Iterator[None]:
    """Garbage, such as the frames of an exception, stays."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("_no_collection")
@pytest.mark.parametrize(
    "arguments",
    [
        ("dead-letters", "list", "--group", "zz"),
        ("dead-letters", "replay", "zz"),
        ("events", "show", UNKNOWN),
        ("events", "replay", UNKNOWN),
        ("events", "resolve", UNKNOWN),
        ("actions", "resume", "zz"),
        ("queues", "pause", ""),
    ],
    ids=" ".join,
)
def test_a_command_that_fails_leaves_none_open(
    settings: Settings, store: redis.Redis, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    before = len(store.client_list())

    status, _ = command_on(settings, monkeypatch)(*arguments)

    assert status
    wait_until(lambda: len(store.client_list()) <= before, "they are closed")
