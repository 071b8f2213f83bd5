"""Our own endpoint, with a worker behind it, does everything that FusionAuth's documentation asks of a receiver."""

from collections.abc import Iterator

import pytest

from harness.stack import Stack, wait_until
from tests.support.conformance import documented, levels_of_ours, open_stack

pytestmark = pytest.mark.chaos


@pytest.fixture
def running() -> Iterator[tuple[Stack, str]]:
    stack, address = open_stack()
    yield stack, address
    stack.close()


def test_our_endpoint_passes_every_case(running: tuple[Stack, str]) -> None:
    stack, address = running

    levels = levels_of_ours(stack, address)

    assert {name: level for name, level in levels.items() if level != "ok"} == {}
    assert levels == documented(column=2)
    wait_until(lambda: stack.open_events() == 0, "every event was handled", 120)
    assert len(stack.effects()) == len(set(stack.effects())) > 150
