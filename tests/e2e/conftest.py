"""Fixtures for tests with processes."""

from collections.abc import Callable, Iterator

import pytest

from harness.stack import Stack
from tests.support.flood import let_ebb, open_bounded_house


@pytest.fixture(scope="module")
def one_bounded_house() -> Iterator[Stack]:
    house = open_bounded_house()
    yield house
    house.close()


@pytest.fixture
def bounded_house(one_bounded_house: Stack) -> Stack:
    """With low bounds, and nothing of an earlier flood."""
    let_ebb(one_bounded_house)
    return one_bounded_house


@pytest.fixture
def build_house() -> Iterator[Callable[..., Stack]]:
    houses: list[Stack] = []

    def build(handlers: str = "") -> Stack:
        houses.append(Stack(handlers))
        return houses[-1]

    yield build
    for house in houses:
        house.close()
