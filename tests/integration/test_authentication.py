"""Every kind of authentication: a success is stored, and every failure gets the same 401 and leaves nothing."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from harness.events import a_body
from harness.signing import ALGORITHMS, SECRET, SIGNATURE, signer
from surehook.shared.settings import Settings
from tests.support.endpoint import OpenEndpoint, open_endpoint
from tests.support.store_dump import kept_keys

NOT_AUTHORIZED = b'{"errors":[{"code":"[notAuthorized]"}],"exception":"[notAuthorized]"}'
BODY = a_body()
HS = signer("HS256")
KEY = "the-api-key"
CONFIGURED = {
    "api_keys": (KEY,),
    "basic_auth": ("fusionauth:geheimnis",),
    "required_header": ("X-Team: red",),
    "signing_secrets": (SECRET,),
}
PROVEN = {"Authorization": KEY, "X-Team": "red", **HS.headers(BODY)}


@pytest.fixture
def endpoint(settings: Settings, store: redis.Redis) -> Iterator[OpenEndpoint]:
    with open_endpoint(endpoint_settings(settings, **CONFIGURED)) as endpoint:
        yield endpoint


def endpoint_settings(settings: Settings, **proof: Any) -> Settings:
    return Settings(data_dir=settings.data_dir, metrics_bind="off", **proof)


def test_a_delivery_authenticated_in_every_way_is_stored(endpoint: OpenEndpoint, store: redis.Redis) -> None:
    assert endpoint.deliver(body=BODY, headers=PROVEN).status_code == 202
    assert endpoint.deliver(
        body=BODY, headers={**PROVEN, "Authorization": "Basic ZnVzaW9uYXV0aDpnZWhlaW1uaXM="}
    ).is_success


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_signature_algorithm_is_accepted(
    algorithm: str, settings: Settings, store: redis.Redis, tmp_path: Path
) -> None:
    ours = signer(algorithm)
    if algorithm.startswith("HS"):
        held: dict[str, Any] = {"signing_secrets": ("another-secret", SECRET)}
    else:
        (tmp_path / "key.pem").write_text(ours.public_pem())
        held = {"signing_public_keys": (str(tmp_path / "key.pem"),)}

    with open_endpoint(endpoint_settings(settings, **held)) as endpoint:
        assert endpoint.deliver(body=BODY, headers=ours.headers(BODY)).status_code == 202
        assert endpoint.deliver(body=BODY + b" ", headers=ours.headers(BODY)).content == NOT_AUTHORIZED


REFUSED: dict[str, tuple[dict[str, str | None], str]] = {
    "no Authorization": ({"Authorization": None}, "not_authorized"),
    "a wrong key": ({"Authorization": "wrong"}, "not_authorized"),
    "a wrong pair": ({"Authorization": "Basic d3Jvbmc6d3Jvbmc="}, "not_authorized"),
    "no header": ({"X-Team": None}, "required_header"),
    "a wrong header": ({"X-Team": "blue"}, "required_header"),
    "no signature": ({SIGNATURE: None}, "signature_missing"),
    "an empty signature": ({SIGNATURE: ""}, "signature_malformed"),
    "another's signature": ({SIGNATURE: signer("HS256", number=1).token(BODY)}, "signature_wrong"),
    "another kind of signature": ({SIGNATURE: signer("RS256").token(BODY)}, "signature_algorithm"),
    "an expired signature": ({SIGNATURE: HS.token(BODY, exp=1)}, "signature_expired"),
    "a signature for later": ({SIGNATURE: HS.token(BODY, nbf=4_000_000_000)}, "signature_not_yet_valid"),
    "a signature of nothing": ({SIGNATURE: HS.seal(HS.header(), {})}, "signature_claims"),
    "another body's signature": ({SIGNATURE: HS.token(a_body())}, "signature_of_another_body"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_every_cause_is_the_same_answer_and_another_reason(
    name: str, endpoint: OpenEndpoint, store: redis.Redis
) -> None:
    changes, reason = REFUSED[name]
    headers = {header: value for header, value in {**PROVEN, **changes}.items() if value is not None}

    response = endpoint.deliver(body=BODY, headers=headers)

    assert response.status_code == 401
    assert response.content == NOT_AUTHORIZED
    assert dict(response.headers) == {
        "content-type": "application/json",
        "content-length": str(len(NOT_AUTHORIZED)),
        "connection": "close",
    }
    assert endpoint.metric("surehook_deliveries_refused_total", reason=reason) == 1
    assert kept_keys(store) == []


def test_the_reason_is_a_field_of_the_log(endpoint: OpenEndpoint, caplog: pytest.LogCaptureFixture) -> None:
    endpoint.deliver(body=BODY, headers={**PROVEN, SIGNATURE: ""})

    (line,) = [record for record in caplog.records if record.getMessage() == "delivery refused"]
    assert line.__dict__["reason"] == "signature_malformed"


@pytest.mark.parametrize("changes", [{"Content-Type": "text/plain"}, {"Content-Length": "999999999"}])
def test_size_and_type_are_checked_after_authentication_and_before_the_body(
    changes: dict[str, str], endpoint: OpenEndpoint
) -> None:
    unsigned = {**PROVEN, **changes, SIGNATURE: signer("HS256", number=1).token(BODY)}

    assert endpoint.deliver(body=BODY, headers=unsigned).status_code == 401
    assert endpoint.deliver(body=b"no JSON", headers={**PROVEN, **changes}).status_code in (413, 415)


def test_the_signature_is_verified_before_the_body_is_parsed(endpoint: OpenEndpoint, store: redis.Redis) -> None:
    assert endpoint.deliver(body=b"no JSON", headers=PROVEN).content == NOT_AUTHORIZED
    assert endpoint.deliver(body=b"no JSON", headers={**PROVEN, **HS.headers(b"no JSON")}).status_code == 400
    assert kept_keys(store) == []
