"""The options that describe a receiver."""

from pathlib import Path
from typing import Any

import pytest

from surehook.fusionauth.conformance.credentials import MASK, Credentials
from surehook.fusionauth.conformance.receiver import Options, checked_url, credentials_from, credentials_of
from surehook.shared.errors import Misconfigured
from surehook.shared.settings import Settings

SECRET = "a-shared-secret-of-more-than-64-bytes-for-tests-only-0123456789-abcdef"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hooks.example.com/hook",
        "ftp://example.com/",
        "http://",
        "http:///hook",
        "http://example.com:port/",
        "http://example.com:0/",
        "http://example.com:99999/",
        "http://[::1/hook",
        "http://example.com/a b",
        "http://example.com/\n",
        "http://exämple.com/",
        "http://user:pass@example.com/",
        "http://a..example.com/",
    ],
)
def test_an_url_that_nothing_can_be_sent_to_is_refused(url: str) -> None:
    with pytest.raises(Misconfigured, match="URL") as caught:
        checked_url(url)

    assert "pass@" not in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        Options(headers=["Authorization"]),
        Options(headers=["Authorization:"]),
        Options(headers=[": value"]),
        Options(headers=["Bad name: value"]),
        Options(headers=["Name: a\r\nb"]),
        Options(headers=["Name: 🦊"]),
        Options(headers=["@/nowhere/at/all"]),
        Options(basic="no-colon"),
        Options(basic="@/nowhere/at/all"),
        Options(signing_key="/nowhere/at/all"),
    ],
)
def test_an_option_that_cannot_be_used_is_refused(options: Options) -> None:
    with pytest.raises(Misconfigured):
        credentials_from(options, None)


def test_secrets_may_stand_in_files(tmp_path: Path) -> None:
    for name, text in {"header": "Authorization: the key\n", "basic": "user:word\n", "secret": SECRET}.items():
        (tmp_path / name).write_text(text)
    options = Options([f"@{tmp_path}/header"], f"@{tmp_path}/basic", f"{tmp_path}/secret", "kid", "HS512")

    found = credentials_from(options, None)

    assert (found.headers, found.basic) == ({"Authorization": "the key"}, "user:word")
    assert found.key is not None
    assert (found.key.algorithm, found.key.private, found.key.kid) == ("HS512", SECRET.encode(), "kid")


@pytest.mark.parametrize("algorithm", ["RS256", "none", "HS1"])
def test_an_algorithm_of_another_kind_of_key_is_refused(algorithm: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET)

    with pytest.raises(Misconfigured, match="HS256"):
        credentials_from(Options(signing_key=f"{tmp_path}/secret", algorithm=algorithm), None)


@pytest.mark.parametrize(
    ("given", "headers", "basic", "is_signed"),
    [
        ({"api_keys": ("a-key-for-tests-only",)}, {"Authorization": "a-key-for-tests-only"}, "", False),
        ({"basic_auth": ("user:a-word-for-tests",)}, {}, "user:a-word-for-tests", False),
        ({"signing_secrets": (SECRET,)}, {}, "", True),
    ],
)
def test_our_own_settings_say_what_is_expected(
    given: dict[str, Any], headers: dict[str, str], basic: str, is_signed: bool
) -> None:
    found = credentials_of(Settings.model_validate(given), Options(), None)

    assert (found.headers, found.basic, found.key is not None) == (headers, basic, is_signed)


def test_public_keys_cannot_sign() -> None:
    settings = Settings.model_validate({"jwks_url": "https://auth.example.com/.well-known/jwks.json"})

    with pytest.raises(Misconfigured, match="--jwks"):
        credentials_of(settings, Options(), None)


def test_a_receiver_that_repeats_our_secrets_does_not_get_them_into_a_report() -> None:
    credentials = Credentials({"Authorization": "the-key-itself"}, "user:pass-word")
    sent = " ".join(credentials.with_token(None).values())

    shown = credentials.masked(f"you sent the-key-itself, user:pass-word, {sent}")

    assert MASK in shown
    assert all(secret not in shown for secret in ("the-key-itself", "pass-word", "dXNlcjpwYXNzLXdvcmQ="))
