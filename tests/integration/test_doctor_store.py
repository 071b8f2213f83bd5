"""The findings of doctor about the store and its queues name the right change."""

from collections.abc import Iterator

import pytest
import redis
from cryptography.fernet import Fernet
from pydantic import SecretStr

from surehook.fusionauth.doctor.encryption import encryption_findings
from surehook.fusionauth.doctor.findings import Finding, Level
from surehook.fusionauth.doctor.queues import queue_findings
from surehook.fusionauth.doctor.store import store_findings, unreachable_store
from surehook.shared.encryption import BodyCipher, fingerprint
from surehook.shared.index_key import IndexKey
from surehook.shared.settings import Settings
from surehook.workers.handlers.registry import Registry, declared, on
from tests.integration.conftest import KEYS, Accept

OLD, NEW = (SecretStr(Fernet.generate_key().decode()) for _ in range(2))


def encryption(settings: Settings, store: redis.Redis, *keys: SecretStr) -> Finding:
    (found,) = encryption_findings(settings.model_copy(update={"encryption_keys": keys}), store, KEYS)
    return found


def test_an_open_event_whose_key_is_missing_is_found(settings: Settings, store: redis.Redis, accept: Accept) -> None:
    """As after a restored backup: the worker that meets such an event stops claiming."""
    accept(cipher=BodyCipher((OLD,)))

    found = encryption(settings, store, NEW)

    assert found.level is Level.LOSES_EVENTS
    assert fingerprint(OLD.get_secret_value()) in found.wrong
    assert encryption(settings, store, NEW, OLD).level is Level.OK


def test_a_missing_key_is_found_without_open_events(settings: Settings, store: redis.Redis) -> None:
    IndexKey(store, KEYS, BodyCipher((OLD,))).read()

    assert encryption(settings, store, NEW).level is Level.ODD
    assert encryption(settings, store).level is Level.ODD
    assert encryption(settings, store, OLD).level is Level.OK


def test_nothing_is_said_to_wait_for_a_store_that_can_never_be_used(settings: Settings, store: redis.Redis) -> None:
    store.set(KEYS.store_format, "9")

    found = unreachable_store(settings)

    assert found is not None
    assert "refused with 503" in found.means
    assert "spool" not in found.means


@pytest.fixture
def everysec(store: redis.Redis) -> Iterator[redis.Redis]:
    store.config_set("appendfsync", "everysec")
    yield store
    store.config_set("appendfsync", "always")


def test_a_changed_setting_is_to_outlast_a_restart(settings: Settings, everysec: redis.Redis) -> None:
    """After CONFIG SET alone, a server that restarts ignores its append-only files, and deletes them later."""
    spooling = settings.model_copy(update={"spool_dir": "/spool"})
    (found,) = [each for each in store_findings(spooling, everysec) if each.check == "durable"]

    assert "CONFIG REWRITE" in found.wrong
    assert "wait in the spool" in found.means


def test_the_own_queue_of_a_handler_with_limits_is_not_called_unused(settings: Settings, store: redis.Redis) -> None:
    on("user.login.success", name="crm", concurrency=2)(lambda event: None)
    store.sadd(KEYS.queues, "events.crm", "events.gone")
    for name in ("events.crm", "events.gone"):
        store.lpush(KEYS.rq_queue(name), "0b0a7b52-2222-4d0f-8f43-6d1c2b3a4f50_crm")

    found = list(queue_findings(settings, Registry(declared), store, KEYS))

    (unused,) = [each.wrong for each in found if each.check == "unused-queue"]
    assert "events.gone" in unused
