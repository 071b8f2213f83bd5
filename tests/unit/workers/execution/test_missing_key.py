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
    """A clock, and the key that the event needs according to the store."""

    def __init__(self) -> None:
        self.now = 0.0
        self.needed: str | None = MISSING
        self.looks = 0
        self.counts = Counts()
        metrics: Any = self.counts
        self.missing_key = MissingKey(BodyCipher([SecretStr(OLD)]), self.key_needed, metrics, lambda: self.now)

    def key_needed(self, _: str) -> str | None:
        self.looks += 1
        return self.needed

    @property
    def is_not_ready(self) -> bool:
        return self.counts.not_ready == {"key_missing"}


@pytest.fixture
def world() -> World:
    return World()


def test_the_worker_is_paused_while_the_event_needs_the_key(world: World) -> None:
    world.missing_key.report(CLAIM, MISSING)

    for world.now in range(0, 3600, 1):
        assert world.missing_key.is_paused()

    assert world.is_not_ready
    assert world.looks <= 3600 / LONGEST_SECONDS + 5


def test_once_the_event_is_re_encrypted_the_worker_goes_on(world: World) -> None:
    world.missing_key.report(CLAIM, MISSING)

    world.needed, world.now = fingerprint(OLD), 2.0

    assert not world.missing_key.is_paused()
    assert not world.is_not_ready


def test_among_workers_that_have_the_key_it_tries_less_and_less_often(world: World) -> None:
    world.needed, tries = None, 0

    for world.now in range(600):
        if not world.missing_key.is_paused():
            tries += 1
            world.missing_key.report(CLAIM, MISSING)

    assert world.is_not_ready
    assert tries < 30


def test_it_is_ready_again_when_bodies_have_been_decrypted_for_a_while(world: World) -> None:
    world.missing_key.report(CLAIM, MISSING)
    world.needed, world.now = None, 5.0
    assert not world.missing_key.is_paused()

    world.missing_key.resolved()
    assert world.is_not_ready
    world.now = 100.0
    world.missing_key.resolved()

    assert not world.is_not_ready


def test_a_worker_that_misses_no_key_makes_no_calls(world: World) -> None:
    world.missing_key.resolved()

    assert not world.missing_key.is_paused()
    assert world.looks == 0
