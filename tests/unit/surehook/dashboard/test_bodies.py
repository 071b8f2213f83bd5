"""A body as a page shows it."""

import json
from typing import Any

import pytest

from surehook.dashboard.bodies import CANNOT_BE_READ, LONGEST_SHOWN, MASK, shown_body

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJtYXJhIn0.c2lnbmF0dXJl"


def shown(document: Any) -> Any:
    return json.loads(shown_body(json.dumps(document).encode()))


@pytest.mark.parametrize(
    "name",
    [
        "password", "newPassword", "refreshToken", "token", "access_token", "clientSecret", "salt", "code", "apiKey",
        "privateKey", "verificationId", "changePasswordId", "Authorization", "cookie", "authenticationToken",
    ],
)  # fmt: skip
def test_secrets_are_masked_wherever_they_stand(name: str) -> None:
    assert shown({"event": {name: "opens a door", "list": [{name: "too"}]}}) == {
        "event": {name: MASK, "list": [{name: MASK}]}
    }


def test_what_is_beneath_several_secrets_is_masked() -> None:
    assert shown({"tokens": {"Google": "ya29"}, "recoveryCodes": ["one", "two"]}) == {
        "tokens": {"Google": MASK},
        "recoveryCodes": [MASK, MASK],
    }


def test_a_token_within_a_text_is_masked() -> None:
    assert shown({"message": f"Bearer {JWT} was refused"}) == {"message": f"Bearer {MASK} was refused"}


def test_everything_else_stays() -> None:
    document = {
        "event": {"id": "3f25", "type": "user.password.update", "user": {"email": "mara@example.com"}},
        "passwordChangeReason": "Breached", "breachedPasswordStatus": "None", "passwordLastUpdateInstant": 1,
        "passwordChangeRequired": True, "refreshToken": {"id": "an-id", "token": "a secret", "startInstant": 2},
        "accessTokenKeyId": "an-id", "name": "Łukasz",
    }  # fmt: skip

    document_shown = shown(document)

    assert document_shown.pop("refreshToken") == {"id": "an-id", "token": MASK, "startInstant": 2}
    del document["refreshToken"]
    assert document_shown == document


@pytest.mark.parametrize("body", [b"", b"no JSON", b"\xff", b"[" * 100_000, b'{"a":' * 50_000])
def test_what_cannot_be_laid_out_says_so(body: bytes) -> None:
    assert shown_body(body) == CANNOT_BE_READ


def test_a_huge_body_is_cut() -> None:
    text = shown_body(json.dumps({"data": "x" * 2 * LONGEST_SHOWN}).encode())

    assert len(text) < LONGEST_SHOWN + 200
    assert "the rest is left out" in text
