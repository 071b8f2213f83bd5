import asyncio
import base64
from pathlib import Path

import pytest
from pydantic import SecretStr

from surehook.ingest.auth.credentials import Authenticator, Authorization, authenticator_from
from surehook.ingest.metrics import IngestMetrics
from surehook.shared.errors import AuthenticationFailed, Misconfigured
from surehook.shared.settings import Settings, load_settings


def secrets(*values: str) -> list[SecretStr]:
    return [SecretStr(value) for value in values]


def basic(pair: str) -> bytes:
    return b"Basic " + base64.b64encode(pair.encode())


KEYS = Authorization(secrets("old-key", "ключ"), secrets("fusionauth:pass:word", "josé:geheim"))


@pytest.mark.parametrize(
    "value",
    [
        b"old-key",
        b"Bearer old-key",
        b"bearer  old-key ",
        "ключ".encode(),
        "Bearer ключ".encode(),
        basic("fusionauth:pass:word"),
        basic("josé:geheim"),
        b"basic  " + base64.b64encode(b"fusionauth:pass:word"),
    ],
)
def test_any_of_the_keys_and_pairs_is_accepted(value: bytes) -> None:
    assert KEYS.accepts([(b"host", b"x"), (b"authorization", value)])


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"Bearer",
        b"Bearer ",
        b"old-ke",
        b"old-keyy",
        b"Basic b2xkLWtleQ==",
        b"\xff\xfe",
        b"old-key,old-key",
        b"Basic old-key",
        b"fusionauth:pass:word",
        b"Bearer fusionauth:pass:word",
        basic("fusionauth:pass"),
        basic("fusionauth:pass:word").rstrip(b"="),
        basic("fusionauth:pass:word") + b"=",
        basic("Fusionauth:pass:word"),
        b"Basic",
        b"Basic \xff",
    ],
)
def test_other_values_are_refused(value: bytes) -> None:
    assert not KEYS.accepts([(b"authorization", value)])


def test_no_header_and_two_headers_are_refused() -> None:
    assert not KEYS.accepts([])
    assert not KEYS.accepts([(b"authorization", b"old-key"), (b"authorization", b"old-key")])


def test_the_endpoint_does_not_start_without_any_key() -> None:
    with pytest.raises(Misconfigured, match="SUREHOOK_API_KEYS is not set"):
        authenticator_from(Settings(), IngestMetrics())


def test_unauthenticated_deliveries_must_be_allowed_explicitly() -> None:
    assert refusal_of(authenticator_from(Settings(allow_unauthenticated=True), IngestMetrics()), {}) is None


def refusal_of(authenticator: Authenticator, headers: dict[str, str]) -> str | None:
    """The reason why these headers are refused; None if they are accepted."""
    given = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    try:
        asyncio.run(authenticator.authenticate(given))
    except AuthenticationFailed as exc:
        return str(exc)
    return None


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        pytest.param({"Authorization": "the-key-of-tests", "X-Team": "red", "X-Site": "1"}, None, id="all there"),
        pytest.param(
            {"Authorization": "the-key-of-tests", "x-team": "blue, green", "X-SITE": "1"}, None, id="another value"
        ),
        pytest.param({"X-Team": "red", "X-Site": "1"}, "not_authorized", id="no key"),
        pytest.param(
            {"Authorization": "the-key-of-tests", "X-Team": "red"}, "required_header", id="one of the two headers"
        ),
        pytest.param(
            {"Authorization": "the-key-of-tests", "X-Team": "1", "X-Site": "red"}, "required_header", id="swapped"
        ),
        pytest.param(
            {"Authorization": "the-key-of-tests", "X-Team": "RED", "X-Site": "1"}, "required_header", id="another case"
        ),
        pytest.param({"Authorization": "the-key-of-tests", "X-Team": "", "X-Site": "1"}, "required_header", id="empty"),
    ],
)
def test_each_kind_must_pass(headers: dict[str, str], reason: str | None) -> None:
    settings = Settings(
        api_keys=("the-key-of-tests",), required_header=("X-Team: red", "X-Team: blue, green", "X-Site:1")
    )

    assert refusal_of(authenticator_from(settings, IngestMetrics()), headers) == reason


def test_a_required_header_counts_only_once() -> None:
    authenticator = authenticator_from(Settings(required_header=("X-Team: red-as-a-secret",)), IngestMetrics())

    with pytest.raises(AuthenticationFailed, match="required_header"):
        asyncio.run(authenticator.authenticate([(b"x-team", b"red-as-a-secret")] * 2))


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("BASIC_AUTH", "hunter2", "expected user:password"),
        ("BASIC_AUTH", "a:bbbbbbbb,hunter2:", "expected user:password"),
        ("REQUIRED_HEADER", "hunter2", "expected Name: value"),
        ("REQUIRED_HEADER", "X-Key:  ", "expected Name: value"),
        ("REQUIRED_HEADER", "X Key: hunter2", "expected Name: value"),
        ("REQUIRED_HEADER", "Authorization: hunter2", "choose another name"),
        ("SIGNING_SECRETS", "-----BEGIN PUBLIC KEY----- hunter2", "SUREHOOK_SIGNING_PUBLIC_KEYS"),
        ("SIGNING_SECRETS", "a-fine-secret, ssh-rsa hunter2", "SUREHOOK_SIGNING_PUBLIC_KEYS"),
        ("JWKS_URL", "auth.example.com/jwks", "expected an address"),
        ("JWKS_URL", "https://user:hunter2@auth.example.com/jwks", "expected an address"),
        ("JWKS_URL", "file:///etc/passwd", "expected an address"),
        ("JWKS_URL", "http://auth.example.com/jwks", "SUREHOOK_JWKS_ALLOW_HTTP=true"),
        ("SIGNING_KEY_IDS", "one", "there are none"),
        ("TLS_CERT", "cert.pem", "belong together"),
    ],
)
def test_an_error_names_the_setting_and_shows_no_secret(
    name: str, value: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"SUREHOOK_{name}", value)

    with pytest.raises(Misconfigured, match=f"SUREHOOK_{name}.*{says}") as failure:
        load_settings()

    assert "hunter2" not in str(failure.value)


@pytest.mark.parametrize(
    "environ",
    [
        {"JWKS_URL": "http://localhost:9011/.well-known/jwks.json"},
        {"JWKS_URL": "http://[::1]:9011/jwks"},
        {"JWKS_URL": "http://fusionauth:9011/jwks", "JWKS_ALLOW_HTTP": "true"},
    ],
)
def test_plain_http_is_allowed_for_keys_on_this_machine_or_explicitly(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(f"SUREHOOK_{name}", value)

    assert load_settings().requires_authentication


def test_a_secret_in_a_file_may_contain_a_comma(tmp_path: Path) -> None:
    (tmp_path / "pairs").write_text("fusionauth:one,two-three\nother:three-four\n")

    settings = load_settings({"SUREHOOK_BASIC_AUTH_FILE": str(tmp_path / "pairs")})

    assert [pair.get_secret_value() for pair in settings.basic_auth] == ["fusionauth:one,two-three", "other:three-four"]
