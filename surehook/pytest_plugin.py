"""The test kit as fixtures: `pytest_plugins = ["surehook.pytest_plugin"]` in a conftest.py. Only pytest imports it."""

from collections.abc import Callable
from typing import Any

import pytest

from surehook import testing
from surehook.testing import Ran


@pytest.fixture
def an_event() -> Callable[..., Any]:
    return testing.an_event


@pytest.fixture
def run_handler() -> Callable[..., Ran]:
    return testing.run_handler


@pytest.fixture
def deliver() -> Callable[..., dict[str, tuple[Ran, ...]]]:
    return testing.deliver
