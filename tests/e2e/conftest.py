"""Fixtures for tests with processes."""

import shutil
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from harness.stack import DEADLINE_SECONDS, Stack
from tests.support.flood import open_bounded_stack, wait_until_drained


@pytest.fixture(scope="module")
def one_bounded_stack() -> Iterator[Stack]:
    stack = open_bounded_stack()
    yield stack
    stack.close()


@pytest.fixture
def bounded_stack(one_bounded_stack: Stack) -> Stack:
    """With low bounds, and nothing of an earlier flood."""
    wait_until_drained(one_bounded_stack)
    return one_bounded_stack


@pytest.fixture
def build_stack() -> Iterator[Callable[..., Stack]]:
    stacks: list[Stack] = []

    def build(handlers: str = "") -> Stack:
        stacks.append(Stack(handlers))
        return stacks[-1]

    yield build
    for stack in stacks:
        stack.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    assert chromium, "no chromium on PATH: install it (Debian: apt-get install chromium)"
    expect.set_options(timeout=DEADLINE_SECONDS * 1000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"],
        )
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with browser.new_context() as context:
        yield context.new_page()
