"""A secret that `surehook connect` hands to FusionAuth is kept before it is handed over."""

from pathlib import Path
from typing import Any

import pytest

from surehook.fusionauth.client import FusionAuthClient
from surehook.fusionauth.transport import FusionAuthError
from tests.integration.test_connect import Setting, setting

__all__ = ["setting"]  # the fixture


def test_a_secret_whose_import_was_not_answered_is_known_to_the_next_run(
    setting: Setting, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("surehook.fusionauth.connection.signing_key.publishes_keys_safely", lambda _: False)
    send = FusionAuthClient.send

    def send_without_an_answer(self: FusionAuthClient, method: str, path: str, body: Any = None) -> Any:
        answer = send(self, method, path, body)
        if path == "/api/key/import":
            raise FusionAuthError("no answer")
        return answer

    monkeypatch.setattr(FusionAuthClient, "send", send_without_an_answer)
    status, output = setting.connect("--yes")
    monkeypatch.setattr(FusionAuthClient, "send", send)
    (imported,) = setting.instance.keys.values()
    written = (tmp_path / ".env").read_text()

    assert (status, written) == (1, f"SUREHOOK_SIGNING_SECRETS={imported.secret}\n")
    assert setting.connect("--yes")[0] == 0
    signing = setting.instance.signing_key(setting.hook)
    assert signing is not None
    assert signing.secret == imported.secret
    assert (tmp_path / ".env").read_text() == written
    assert str(imported.secret) not in output
