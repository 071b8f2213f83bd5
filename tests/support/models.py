"""Runs model-based tests: a few fixed runs in `make test`, many random ones in `make e2e`."""

import os
from collections.abc import Iterator

import pytest
import redis
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test


@pytest.fixture
def quick_store(store: redis.Redis) -> Iterator[redis.Redis]:
    """No fsync for each of thousands of steps: what is on disk is not what this is about."""
    store.config_set("appendonly", "no")
    yield store
    store.flushall()
    store.config_set("appendonly", "yes")


def run_model(model: type[RuleBasedStateMachine], *, examples: int) -> None:
    """Runs a model `examples` times, always in the same way, or HYPOTHESIS_EXAMPLES times at random."""
    wanted = os.environ.get("HYPOTHESIS_EXAMPLES")
    machine = model if wanted else seed(1)(model)
    profile = settings(
        max_examples=int(wanted or examples),
        stateful_step_count=50,
        deadline=None,
        phases=[Phase.generate],  # a shorter run would draw other steps
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    run_state_machine_as_test(machine, settings=profile)
