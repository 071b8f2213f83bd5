"""`surehook events show --body`, where bodies are encrypted."""

import json

import pytest
import redis
from click.testing import CliRunner
from cryptography.fernet import Fernet
from pydantic import SecretStr

from surehook.main import cli
from surehook.shared.encryption import BodyCipher, fingerprint
from surehook.shared.settings import Settings
from tests.integration.conftest import KEYS, Accept
from tests.support.command import Surehook, command_on, logging_restored

OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))


@pytest.fixture
def surehook(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Surehook:
    return command_on(settings, monkeypatch)


def test_show_prints_an_encrypted_body_as_it_came(
    accept: Accept, surehook: Surehook, monkeypatch: pytest.MonkeyPatch
) -> None:
    event_id = accept(cipher=BodyCipher([SecretStr(NEW)]))
    monkeypatch.setenv("SUREHOOK_ENCRYPTION_KEYS", f"{OLD},{NEW}")

    assert "mara.lindqvist@example.com" in surehook("events", "show", event_id, "--body")[1]
    assert "mara.lindqvist" in json.loads(surehook("events", "show", event_id, "--body", "--json")[1])["body"]


@pytest.mark.parametrize(
    ("keys", "stored", "problem"),
    [
        pytest.param(OLD, None, f"lacks the key with the fingerprint {fingerprint(NEW)}", id="another key"),
        pytest.param("", None, f"lacks the key with the fingerprint {fingerprint(NEW)}", id="no key"),
        pytest.param(NEW, b"gAAAAABmZm9v", f"key {fingerprint(NEW)} does not decrypt it", id="damaged"),
    ],
)
def test_show_says_why_a_body_cannot_be_read(
    keys: str,
    stored: bytes | None,
    problem: str,
    accept: Accept,
    store: redis.Redis,
    surehook: Surehook,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    event_id = accept(cipher=BodyCipher([SecretStr(NEW)]))
    if stored:
        store.hset(KEYS.event(event_id), "body", stored)
    if keys:
        monkeypatch.setenv("SUREHOOK_ENCRYPTION_KEYS", keys)

    status, message = surehook("events", "show", event_id, "--body")
    with logging_restored():
        shown = CliRunner().invoke(cli, ["events", "show", event_id, "--body"]).output
        as_json = json.loads(CliRunner().invoke(cli, ["events", "show", event_id, "--body", "--json"]).output)

    assert (status, problem in message) == (1, True), message
    assert "user.delete" in shown, "the command shows the fields that are not encrypted"
    assert "gAAAA" not in shown
    assert (as_json["event_id"], as_json["body"]) == (event_id, None)
    assert surehook("events", "show", event_id)[0] == 0, "nothing is decrypted that is not asked for"
