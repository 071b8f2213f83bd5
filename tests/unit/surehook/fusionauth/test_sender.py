"""The endpoint accepts the signatures of `surehook trigger`."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from harness.signing import SECRET, signer
from surehook.fusionauth.sender import Sender
from surehook.ingest.auth.credentials import authenticator_from
from surehook.ingest.auth.signature import require_signed_body
from surehook.ingest.metrics import IngestMetrics
from surehook.shared.errors import Misconfigured
from surehook.shared.settings import Settings

BODY = b"{}"


def is_accepted(sender: Sender, **configured: Any) -> bool:
    proof = authenticator_from(Settings(**configured), IngestMetrics())
    headers = [(name.lower(), value) for name, value in sender.headers(BODY).items()]
    digest = asyncio.run(proof.authenticate(headers))
    require_signed_body(BODY, digest or b"")
    return True


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "ES384", "ES512", "Ed25519"])
def test_a_private_key_of_any_kind_signs(algorithm: str, tmp_path: Path) -> None:
    (tmp_path / "private").write_text(signer(algorithm).private_pem())
    (tmp_path / "public").write_text(signer(algorithm).public_pem())
    configured: dict[str, Any] = {"signing_public_keys": (str(tmp_path / "public"),), "signing_key_ids": ("one", "two")}

    assert is_accepted(Sender(Settings(**configured), str(tmp_path / "private")), **configured)


def test_the_first_of_each_kind_is_sent() -> None:
    configured: dict[str, Any] = {
        "basic_auth": ("one:geheimnis", "two:geheimnis"),
        "required_header": ("X-Team: red", "x-team: blue", "X-Site: 1"),
        "signing_secrets": (SECRET, "another-secret"),
    }

    assert is_accepted(Sender(Settings(**configured)), **configured)


def test_a_file_may_contain_the_secret(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{SECRET}\n")

    assert is_accepted(
        Sender(Settings(signing_secrets=("another-secret",)), str(tmp_path / "secret")), signing_secrets=(SECRET,)
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "neither a private key"),
        (signer("RS256").public_pem(), "neither a private key"),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", "cannot be used"),
    ],
)
def test_a_file_without_a_signing_key_is_an_error(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(text)

    with pytest.raises(Misconfigured, match=f"--signing-key .*{says}"):
        Sender(Settings(signing_secrets=(SECRET,)), str(tmp_path / "key"))
