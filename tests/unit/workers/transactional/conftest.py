"""Pools of slots without a store."""

import pytest

from surehook.workers.transactional.pool import SlotPool
from tests.support.slot_pool import a_fast_pool, a_pool


@pytest.fixture
def pool() -> SlotPool:
    return a_pool()


@pytest.fixture
def fast() -> SlotPool:
    return a_fast_pool()
