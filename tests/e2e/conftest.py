"""Fixtures for tests with processes."""

from collections.abc import Callable, Iterator

import pytest

from tests.support.flood import let_ebb, open_bounded_house
from tests.support.house import House


@pytest.fixture(scope="module")
def one_bounded_house() -> Iterator[House]:
    house = open_bounded_house()
    yield house
    house.close()


@pytest.fixture
def bounded_house(one_bounded_house: House) -> House:
    """With low bounds, and nothing of an earlier flood."""
    let_ebb(one_bounded_house)
    return one_bounded_house


@pytest.fixture
def build_house() -> Iterator[Callable[..., House]]:
    houses: list[House] = []

    def build(handlers: str = "") -> House:
        houses.append(House(handlers))
        return houses[-1]

    yield build
    for house in houses:
        house.close()
