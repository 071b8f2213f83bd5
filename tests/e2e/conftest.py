"""Fixtures for tests with processes."""

from collections.abc import Callable, Iterator

import pytest

from tests.support.house import House


@pytest.fixture
def build_house() -> Iterator[Callable[..., House]]:
    houses: list[House] = []

    def build(handlers: str = "") -> House:
        houses.append(House(handlers))
        return houses[-1]

    yield build
    for house in houses:
        house.close()
