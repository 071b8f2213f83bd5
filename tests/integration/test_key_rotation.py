"""`surehook keys rotate` encrypts the stored bodies anew while endpoint and workers run."""

from collections.abc import Callable
from typing import Any

import pytest
import redis
from click.testing import CliRunner
from cryptography.fernet import Fernet
from pydantic import SecretStr

from surehook import on
from surehook.admin.key_rotation import Result, Rotation
from surehook.main import cli
from surehook.shared.encryption import BodyCipher, fingerprint
from surehook.shared.index_key import IndexKey
from surehook.shared.scripts import Script
from surehook.shared.settings import Settings
from tests.integration.conftest import KEYS, Accept

OLD, NEW, OTHER = (Fernet.generate_key().decode() for _ in range(3))
Rotate = Callable[..., tuple[int, str]]


def cipher(*keys: str) -> BodyCipher:
    return BodyCipher([SecretStr(key) for key in keys])


def key_ids(store: redis.Redis) -> list[str]:
    found = [store.hget(key, "key_id") for key in store.scan_iter("surehook:event:*")]
    return sorted((key_id or b"").decode() for key_id in found)  # type: ignore[union-attr]


@pytest.fixture
def rotate(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Rotate:
    monkeypatch.setenv("SUREHOOK_DATA_DIR", str(settings.data_dir))

    def rotate(*arguments: str, keys: str = f"{NEW},{OLD}") -> tuple[int, str]:
        if keys:
            monkeypatch.setenv("SUREHOOK_ENCRYPTION_KEYS", keys)
        result = CliRunner().invoke(cli, ["keys", "rotate", *arguments])
        if isinstance(result.exception, Exception):
            raise result.exception
        return result.exit_code, result.output

    return rotate


def test_rotation_encrypts_plain_and_old_bodies_with_the_newest_key(
    accept: Accept, rotate: Rotate, run_worker: Any, store: redis.Redis
) -> None:
    seen: list[Any] = []
    on("user.delete", name="it")(seen.append)
    for box in (None, cipher(OLD), cipher(NEW)):
        accept(cipher=box)

    status, output = rotate()

    assert (status, output) == (0, f"2 encrypted with key {fingerprint(NEW)}, 1 need no change\n")
    assert key_ids(store) == [fingerprint(NEW)] * 3
    run_worker(turns=3, cipher=cipher(NEW))
    assert [event.user.email for event in seen] == ["mara.lindqvist@example.com"] * 3
    assert rotate(keys=NEW) == (0, f"0 encrypted with key {fingerprint(NEW)}, 3 need no change\n")


def test_a_dry_run_changes_nothing(accept: Accept, rotate: Rotate, store: redis.Redis) -> None:
    accept(cipher=cipher(OLD))
    accept()

    assert rotate("--dry-run") == (0, f"2 would be encrypted with key {fingerprint(NEW)}, 0 need no change\n")

    assert key_ids(store) == ["", fingerprint(OLD)]


def test_an_unreadable_body_is_counted_by_its_key_and_kept(accept: Accept, rotate: Rotate, store: redis.Redis) -> None:
    for _ in range(3):
        accept(cipher=cipher(OTHER))
    changed = accept(cipher=cipher(OLD))
    store.hset(f"surehook:event:{changed}", "body", "gAAAAA")
    accept(cipher=cipher(OLD))

    status, output = rotate()

    assert status == 1
    assert output.splitlines() == [
        f"1 encrypted with key {fingerprint(NEW)}, 0 need no change",
        f"3 unreadable: SUREHOOK_ENCRYPTION_KEYS lacks the key {fingerprint(OTHER)}",
        f"1 damaged: key {fingerprint(OLD)} cannot decrypt them",
    ]
    assert key_ids(store).count(fingerprint(OTHER)) == 3


def test_without_keys_it_is_misconfigured(rotate: Rotate) -> None:
    with pytest.raises(Exception, match="SUREHOOK_ENCRYPTION_KEYS is not set"):
        rotate(keys="")


def test_an_interrupted_key_rotation_is_completed_by_the_next_run(
    accept: Accept, rotate: Rotate, store: redis.Redis
) -> None:
    for _ in range(20):
        accept(cipher=cipher(OLD))
    steps = Rotation(store, KEYS, cipher(NEW, OLD)).steps(portion=1)
    for _ in range(7):
        next(steps)

    assert key_ids(store).count(fingerprint(NEW)) == 7
    assert rotate()[1] == f"13 encrypted with key {fingerprint(NEW)}, 7 need no change\n"


def test_a_closed_events_body_keeps_the_time_it_has_left(
    accept: Accept, rotate: Rotate, run_worker: Any, store: redis.Redis
) -> None:
    on("user.delete", name="it")(lambda event: None)
    event_id = accept(cipher=cipher(OLD))
    run_worker(cipher=cipher(OLD))

    rotate()

    assert 3500 < store.ttl(f"surehook:event:{event_id}") <= 3600


def test_a_body_erased_or_expired_during_rotation_does_not_come_back(
    accept: Accept, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    event_ids = [accept(cipher=cipher(OLD)), accept()]
    rotation = Rotation(store, KEYS, cipher(NEW, OLD))
    real_run = Script.run_many

    def erase_first(*arguments: Any) -> list[Any]:  # in the moment between reading and writing
        for event_id in event_ids:
            store.delete(f"surehook:event:{event_id}")
        return real_run(*arguments)

    monkeypatch.setattr(Script, "run_many", erase_first)

    assert {step.result for step in rotation.steps()} == {Result.FINE}
    assert list(store.scan_iter("surehook:event:*")) == []


def test_two_rotations_at_once_change_each_body_once(accept: Accept, store: redis.Redis) -> None:
    for _ in range(30):
        accept(cipher=cipher(OLD))
    both = [Rotation(store, KEYS, cipher(NEW, OLD)).steps(portion=1) for _ in range(2)]

    results = [step.result for pair in zip(*both, strict=True) for step in pair]

    assert results.count(Result.ENCRYPTED) == 30
    assert key_ids(store) == [fingerprint(NEW)] * 30


def test_an_endpoint_that_still_uses_another_key_is_detected(
    accept: Accept, rotate: Rotate, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept(cipher=cipher(OLD))
    real_steps = Rotation.steps

    def steps(self: Rotation, **options: Any) -> Any:
        accept(cipher=cipher(OLD))
        return real_steps(self, **options)

    monkeypatch.setattr(Rotation, "steps", steps)

    status, output = rotate()

    assert status == 1
    assert f"1 stored since then with key {fingerprint(OLD)}" in output


def test_rotation_encrypts_the_key_of_the_index_and_says_if_it_cannot(rotate: Rotate, store: redis.Redis) -> None:
    key = IndexKey(store, KEYS, cipher(OLD)).read()

    assert rotate()[0] == 0

    assert IndexKey(store, KEYS, cipher(NEW)).read() == key
    status, output = rotate(keys=OTHER)
    assert (status, "e-mail" in output) == (1, True)
