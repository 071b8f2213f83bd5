import pytest
from pydantic import SecretStr

from ingest.proof import ApiKeys, proof_from
from shared.errors import Misconfigured
from shared.settings import Settings

KEYS = ApiKeys([SecretStr("old-key"), SecretStr("ключ")])


@pytest.mark.parametrize(
    "value", [b"old-key", b"Bearer old-key", b"bearer  old-key ", "ключ".encode(), "Bearer ключ".encode()]
)
def test_any_of_the_keys_is_proof_raw_or_as_bearer(value: bytes) -> None:
    assert KEYS.are_proven_by([(b"host", b"x"), (b"authorization", value)])


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
    ],
)
def test_anything_else_is_none(value: bytes) -> None:
    assert not KEYS.are_proven_by([(b"authorization", value)])


def test_no_header_or_two_of_them_is_none() -> None:
    assert not KEYS.are_proven_by([])
    assert not KEYS.are_proven_by([(b"authorization", b"old-key"), (b"authorization", b"old-key")])


def test_without_any_key_we_refuse_to_start() -> None:
    with pytest.raises(Misconfigured, match="SUREHOOK_API_KEYS is not set"):
        proof_from(Settings())


def test_letting_everybody_in_must_be_said() -> None:
    assert proof_from(Settings(allow_unauthenticated=True)).are_proven_by([])
