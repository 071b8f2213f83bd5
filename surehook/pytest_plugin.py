"""The test kit as fixtures. pytest finds them by itself where Surehook is installed."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from surehook.testing import Ran

# Imported when they are first used, as every pytest run of the environment loads this file.


@pytest.fixture
def an_event() -> Callable[..., Any]:
    from surehook.testing import an_event

    return an_event


@pytest.fixture
def run_handler() -> "Callable[..., Ran]":
    from surehook.testing import run_handler

    return run_handler


@pytest.fixture
def run_handler_async() -> "Callable[..., Awaitable[Ran]]":
    from surehook.testing import run_handler_async

    return run_handler_async


@pytest.fixture
def deliver() -> "Callable[..., dict[str, tuple[Ran, ...]]]":
    from surehook.testing import deliver

    return deliver


@pytest.fixture
def deliver_async() -> "Callable[..., Awaitable[dict[str, tuple[Ran, ...]]]]":
    from surehook.testing import deliver_async

    return deliver_async
