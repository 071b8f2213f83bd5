from typing import Any

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from surehook.shared.encryption import BodyCipher, fingerprint
from surehook.workers.claim import Claim
from surehook.workers.execution.missing_key import LONGEST_SECONDS, MissingKey
from tests.integration.conftest import Counts

OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))
MISSING = fingerprint(NEW)
CLAIM = Claim("events", "0" * 36, "t", 1, 0, 0, "it", "user.delete", "", "", b"", MISSING)


class World:
    """The clock, and what the store says of the event at hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.needed: str | None = MISSING
        self.looks = 0
        self.counts = Counts()
        metrics: Any = self.counts
        self.lacking = MissingKey(BodyCipher([SecretStr(OLD)]), self.key_needed, metrics, lambda: self.now)

    def key_needed(self, _: str) -> str | None:
        self.looks += 1
        return self.needed

    @property
    def is_red(self) -> bool:
        return self.counts.not_ready == {"key_missing"}


@pytest.fixture
def world() -> World:
    return World()


def test_nothing_is_taken_while_the_event_at_hand_needs_the_key(world: World) -> None:
    world.lacking.meet(CLAIM, MISSING)

    for world.now in range(0, 3600, 1):
        assert world.lacking.holds()

    assert world.is_red
    assert world.looks <= 3600 / LONGEST_SECONDS + 5


def test_once_rotated_the_event_can_be_taken(world: World) -> None:
    world.lacking.meet(CLAIM, MISSING)

    world.needed, world.now = fingerprint(OLD), 2.0

    assert not world.lacking.holds()
    assert not world.is_red


def test_in_a_fleet_that_has_the_key_it_tries_ever_more_seldom(world: World) -> None:
    world.needed, tries = None, 0

    for world.now in range(600):
        if not world.lacking.holds():
            tries += 1
            world.lacking.meet(CLAIM, MISSING)

    assert world.is_red
    assert tries < 30


def test_red_ends_when_bodies_have_been_opened_for_a_while(world: World) -> None:
    world.lacking.meet(CLAIM, MISSING)
    world.needed, world.now = None, 5.0
    assert not world.lacking.holds()

    world.lacking.opened()
    assert world.is_red
    world.now = 100.0
    world.lacking.opened()

    assert not world.is_red


def test_a_worker_that_lacks_nothing_asks_nothing(world: World) -> None:
    world.lacking.opened()

    assert not world.lacking.holds()
    assert world.looks == 0
