import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from surehook.shared.encryption import BodyCipher, fingerprint
from surehook.shared.errors import BodyDamaged, KeyMissing, Misconfigured
from surehook.shared.settings import load_settings

OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))
BODY = b'{"event": {"user": {"email": "mara@example.com"}}}'


def cipher(*keys: str) -> BodyCipher:
    return BodyCipher([SecretStr(key) for key in keys])


def test_without_keys_a_body_is_stored_unchanged() -> None:
    assert BodyCipher().encrypt(BODY) == (BODY, "")
    assert BodyCipher().decrypt(BODY, "") == BODY


def test_the_newest_key_encrypts_and_every_key_decrypts() -> None:
    sealed, key_id = cipher(NEW, OLD).encrypt(BODY)

    assert key_id == fingerprint(NEW)
    assert b"mara" not in sealed
    assert cipher(NEW).decrypt(sealed, key_id) == BODY
    assert cipher(OLD, NEW).decrypt(sealed, key_id) == BODY


def test_a_plain_body_is_read_with_keys_too() -> None:
    assert cipher(NEW).decrypt(BODY, "") == BODY


@pytest.mark.parametrize("keys", [(), (OLD,)], ids=["none", "another"])
def test_a_missing_key_is_named_by_its_fingerprint(keys: tuple[str, ...]) -> None:
    sealed, key_id = cipher(NEW).encrypt(BODY)

    with pytest.raises(KeyMissing) as failure:
        cipher(*keys).decrypt(sealed, key_id)

    assert failure.value.key_id == fingerprint(NEW)
    assert NEW not in str(failure.value)


def test_a_changed_body_is_not_decrypted() -> None:
    sealed, key_id = cipher(NEW).encrypt(BODY)

    with pytest.raises(BodyDamaged):
        cipher(NEW).decrypt(sealed[:-9] + b"AAAAAAAA=", key_id)


def test_two_spellings_of_a_key_have_one_fingerprint() -> None:
    key = "A" * 43 + "="  # two bits of the last letter are ignored

    assert fingerprint("A" * 42 + "B=") == fingerprint(key)
    assert fingerprint(NEW) != fingerprint(OLD)


@pytest.mark.parametrize("given", ["hunter2", f"{NEW},hunter2", " , "], ids=["no key", "one is none", "nothing"])
def test_an_error_about_a_key_does_not_show_it(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUREHOOK_ENCRYPTION_KEYS", given)

    with pytest.raises(Misconfigured, match=r"^SUREHOOK_ENCRYPTION_KEYS: .*(Fernet key|at least one value)") as failure:
        load_settings()

    assert "hunter2" not in str(failure.value)


def test_an_empty_file_of_keys_does_not_switch_encryption_off() -> None:
    with pytest.raises(Misconfigured, match="is empty"):
        load_settings({"SUREHOOK_ENCRYPTION_KEYS_FILE": "/dev/null"})


def test_keys_come_newest_first_and_do_not_show_in_a_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUREHOOK_ENCRYPTION_KEYS", f"{NEW}, {OLD}")

    settings = load_settings()

    assert BodyCipher(settings.encryption_keys).key_ids == (fingerprint(NEW), fingerprint(OLD))
    assert NEW not in repr(settings)
