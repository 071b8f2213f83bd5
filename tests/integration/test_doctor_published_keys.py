"""Doctor fetches the published keys as the endpoint does, also without access to FusionAuth's API."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import redis
from joserfc.jwk import ECKey

from surehook.fusionauth.doctor.examination import Examination
from surehook.fusionauth.doctor.findings import Finding, Level
from surehook.shared.settings import Settings
from tests.support.jwks_server import jwks_server


def published_keys(settings: Settings, folder: Path, **changes: Any) -> Finding:
    changed = settings.model_copy(update={"bind": "127.0.0.1:1"} | changes)
    groups = Examination(changed, folder, datetime.now(UTC)).groups()
    (found,) = [each for group in groups for each in group.findings if each.check == "jwks"]
    return found


@pytest.mark.usefixtures("store")
def test_an_address_that_does_not_answer_is_found(settings: Settings, tmp_path: Path) -> None:
    found = published_keys(settings, tmp_path, jwks_url="http://127.0.0.1:1/.well-known/jwks.json")

    assert found.level is Level.LOSES_EVENTS
    assert "ConnectError" in found.wrong
    assert found.change == "SUREHOOK_JWKS_URL"


def test_keys_that_cannot_be_used_are_found(settings: Settings, tmp_path: Path, store: redis.Redis) -> None:
    with jwks_server() as server:
        assert published_keys(settings, tmp_path, jwks_url=server.url).level is Level.LOSES_EVENTS

        key = ECKey.generate_key("P-256", {"kid": "one"}, private=False).as_dict(private=False)
        server.document = json.dumps({"keys": [key | {"use": "sig", "alg": "ES256"}]}).encode()

        assert published_keys(settings, tmp_path, jwks_url=server.url).level is Level.OK
        other = published_keys(settings, tmp_path, jwks_url=server.url, signing_key_ids=("another",))
        assert other.level is Level.LOSES_EVENTS
