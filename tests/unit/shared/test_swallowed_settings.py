"""Text that would be swallowed: lines, commas, weak secrets, broken lines of `.env`, misspelt names."""

from pathlib import Path

import pytest

from surehook.shared import sources
from surehook.shared.settings import load_settings
from tests.support.setting_values import VALUES, mistakes_of, variable
from tests.unit.shared.conftest import Source


def test_lines_in_a_variable_are_no_list() -> None:
    assert "SUREHOOK_API_KEYS: character 14 is a line break" in mistakes_of(
        {"SUREHOOK_API_KEYS": "the-first-key\nthe-second-key"}
    )


@pytest.mark.parametrize("name", ["redis_url", "dashboard_login", "fusionauth_api_key"])
def test_a_file_with_one_value_too_many_is_a_mistake(name: str, source: Source, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("\n".join(VALUES[name]))

    message = mistakes_of(source(f"{variable(name)}_FILE", str(tmp_path / "secret")))

    assert message == f"{variable(name)}_FILE={tmp_path}/secret has 2 lines, expected one"


def test_a_file_that_never_ends_is_a_mistake() -> None:
    assert "cannot be read: it is larger than 4 MiB" in mistakes_of({"SUREHOOK_API_KEYS_FILE": "/dev/zero"})


@pytest.mark.parametrize("given", ["one,key-of-mine", ",the-first-key", "the-first-key,", "the-first-key,,the-second"])
def test_a_comma_in_a_key_is_not_swallowed(given: str, source: Source) -> None:
    assert mistakes_of(source("SUREHOOK_API_KEYS", given)).startswith("SUREHOOK_API_KEYS: ")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("api_keys", "k"),
        ("api_keys", "the-first-key,1234567"),
        ("basic_auth", "fusionauth:1234567"),
        ("required_header", "X-Key: 1234567"),
        ("signing_secrets", "1234567"),
        ("dashboard_login", "operator:1234567"),
    ],
)
def test_a_secret_that_could_be_guessed_is_a_mistake(name: str, value: str, source: Source) -> None:
    message = mistakes_of(source(variable(name), value))

    assert "too short: at least 8 characters" in message
    assert "1234567" not in message


def test_a_header_beside_a_key_may_be_a_label() -> None:
    settings = load_settings({"SUREHOOK_REQUIRED_HEADER": "X-Team: red", "SUREHOOK_API_KEYS": "the-first-key"})

    assert settings.required_header[0].get_secret_value() == "X-Team: red"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('SUREHOOK_API_KEYS="the-first-key', "is a quotation mark missing?"),
        ("SUREHOOK_API_KEYS='the-first-key' more", "is a quotation mark missing?"),
        ("NOTE='a line\nSUREHOOK_API_KEYS=the-first-key\nOTHER='", "is a quotation mark missing?"),
        ("SUREHOOK_API_KEYS=the-${UNSET}-key", "a variable in ${…} that is not set"),
        ("SUREHOOK_API_KEYS=the-${LATER}-key\nLATER=x", "a variable in ${…} that is not set"),
    ],
)
def test_a_line_of_dotenv_that_swallows_a_setting_is_a_mistake(line: str, says: str) -> None:
    sources.ENV_FILE.write_text(f"HOME=x\n{line}\n")

    message = mistakes_of({})

    assert "no.env, line 2: " in message
    assert says in message
    assert "the-" not in message


def test_other_programs_lines_in_dotenv_are_left_alone() -> None:
    sources.ENV_FILE.write_bytes(
        b"\xef\xbb\xbfSUREHOOK_GRACE=7\r\nSLACK_WEBHOOK_URL=1\nSLACK_WEBHOOK_URL=2\nA='x\nB=${NO}\nPORT=\nWEBHOOK_PATH=/x\n"
    )

    assert load_settings({"HOME": "/", "SLACK_WEBHOOK_URL": "x", "API_KEYS": "x"}).grace == 7


def test_a_dotenv_that_cannot_be_read_is_a_mistake() -> None:
    sources.ENV_FILE.mkdir()
    assert "no.env cannot be read: Is a directory" in mistakes_of({})
    sources.ENV_FILE.rmdir()

    sources.ENV_FILE.write_bytes(b"SUREHOOK_API_KEYS=\xff\xfe")
    assert "no.env cannot be read: it is not UTF-8" in mistakes_of({})


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("SUREHOOK_HANDLER", "did you mean SUREHOOK_HANDLERS?"),
        ("SUREHOOK_API_KEY", "did you mean SUREHOOK_API_KEYS?"),
        ("surehook_signing_secret", "did you mean SUREHOOK_SIGNING_SECRETS?"),
        ("SUREHOOK_SIGNING_SECRET_FILE", "did you mean SUREHOOK_SIGNING_SECRETS_FILE?"),
        ("SUREHOOK_API_KEYS_FILES", "did you mean SUREHOOK_API_KEYS_FILE?"),
        ("SUREHOOK_BIND_FILE", "only secrets can come from a file"),
        ("SUREHOOK_XYZZY", "`surehook config` lists all settings"),
        ("SUREHOK_API_KEYS", "did you mean SUREHOOK_API_KEYS?"),
        ("SURE_HOOK_API_KEYS", "did you mean SUREHOOK_API_KEYS?"),
        ("SUREHOOK-API_KEYS", "did you mean SUREHOOK_API_KEYS?"),
        ("SUREHOOKS_ENCRYPTION_KEYS_FILE", "did you mean SUREHOOK_ENCRYPTION_KEYS_FILE?"),
        ("SUREHOOK_PORT", "`surehook config` lists all settings"),
        ("exportSUREHOOK_API_KEYS", "did you mean SUREHOOK_API_KEYS?"),
        ("setsurehook_encryption_keys", "did you mean SUREHOOK_ENCRYPTION_KEYS?"),
        ("XSUREHOOK_SIGNING_SECRETS_FILE", "did you mean SUREHOOK_SIGNING_SECRETS_FILE?"),
    ],
)
def test_a_misspelt_name_is_a_mistake_and_its_value_is_not_shown(name: str, advice: str, source: Source) -> None:
    message = mistakes_of(source(name, "hunter2"))

    assert message.startswith(f"{name.upper()}, set in ")
    assert advice in message
    assert "hunter2" not in message


def test_variables_that_kubernetes_adds_are_no_mistakes() -> None:
    load_settings(
        {
            "SUREHOOK_PORT": "tcp://10.0.0.1:8000",
            "SUREHOOK_SERVICE_HOST": "10.0.0.1",
            "SUREHOOK_SERVICE_PORT_HTTP": "8000",
            "SUREHOOK_PORT_8000_TCP_ADDR": "10.0.0.1",
            "SUREHOOK_INGEST_SERVICE_PORT": "8000",
            "SUREHOOK_INGEST_PORT": "tcp://10.0.0.1:8000",
        }
    )


def test_all_mistakes_of_all_sources_are_reported_together() -> None:
    sources.ENV_FILE.write_text("SUREHOOK_HANDLER=x\nSUREHOOK_GRACE=\nSUREHOOK_RETENTION=long\n")

    lines = mistakes_of({"SUREHOOK_API_KEYS_FILE": "/none", "SUREHOOK_BIND": "x"}).splitlines()

    assert sorted(line.split(" ")[0].rstrip(",:") for line in lines) == [
        "SUREHOOK_API_KEYS_FILE=/none",
        "SUREHOOK_BIND=x",
        "SUREHOOK_GRACE",
        "SUREHOOK_HANDLER",
        "SUREHOOK_RETENTION=long",
    ]


@pytest.mark.parametrize("value", ["inf", "nan", "-1"])
@pytest.mark.parametrize("name", ["grace", "handler_timeout", "transaction_timeout"])
def test_a_duration_is_a_finite_number(name: str, value: str, source: Source) -> None:
    assert mistakes_of(source(variable(name), value)).startswith(f"{variable(name)}=")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("\u200bSUREHOOK_SIGNING_SECRETS", id="an invisible character before it"),
        pytest.param("\ufeffSUREHOOK_SIGNING_SECRETS", id="a byte order mark before it"),
        pytest.param("\0".join("SUREHOOK_SIGNING_SECRETS"), id="UTF-16"),
        pytest.param("$env:SUREHOOK_BIND", id="PowerShell"),
        pytest.param("%SUREHOOK_BIND%", id="cmd"),
        pytest.param('"SUREHOOK_BIND"', id="quotes"),
        pytest.param("SUREHOOK.SIGNING_SECRETS", id="a dot"),
        pytest.param("surehook.signing.secrets", id="dots"),
        pytest.param("\u0405UREHOOK_SIGNING_SECRETS", id="a Cyrillic letter"),
        pytest.param("SUREH00K_SIGNING_SECRETS", id="zeros"),
        pytest.param("SURHEOOK_SIGNING_SECRETS", id="letters exchanged"),
        pytest.param("REHOOK_SIGNING_SECRETS", id="letters missing"),
        pytest.param("_SUREHOOK_SIGNING_SECRETS", id="an underscore"),
    ],
)
def test_a_name_that_only_looks_like_a_setting_is_a_mistake(name: str) -> None:
    sources.ENV_FILE.write_text(f"SUREHOOK_API_KEYS=the-first-key\n{name}=x\n")

    assert "no.env, is no setting: did you mean SUREHOOK_" in mistakes_of({})


@pytest.mark.parametrize("name", ["WEBHOOK_SIGNING_PUBLIC_KEYS", "PROD_SUREHOOK_API_KEYS", "FACEBOOK_URL", "SURE"])
def test_a_setting_of_another_program_is_none_of_ours(name: str) -> None:
    sources.ENV_FILE.write_text(f"SUREHOOK_API_KEYS=the-first-key\n{name}=x\n")

    assert load_settings({}).api_keys[0].get_secret_value() == "the-first-key"


@pytest.mark.parametrize("end", ["\u2028", "\x85", "\x0b", "\x0c"])
def test_a_line_end_that_only_an_editor_shows_is_a_mistake(end: str) -> None:
    for text in ("NOTE=x", "# a note"):
        sources.ENV_FILE.write_text(f"A=x\n{text}{end}SUREHOOK_SIGNING_SECRETS=the-secret\n")

        assert "no.env, line 2: expected NAME=value" in mistakes_of({"SUREHOOK_API_KEYS": "the-first-key"})


@pytest.mark.parametrize("comment", ["# our webhook", "// our webhook", "; our webhook", "#\tour-webhook"])
def test_a_comment_in_a_file_of_secrets_is_no_secret(comment: str, source: Source, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(f"{comment}\nthe-first-key\n")

    message = mistakes_of(source("SUREHOOK_API_KEYS_FILE", str(tmp_path / "keys")))

    assert (
        message
        == f"SUREHOOK_API_KEYS_FILE={tmp_path}/keys, line 1 looks like a comment, and every line is a value: remove it"
    )


def test_a_secret_may_begin_like_a_comment(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("#4711-the-first-key\n")

    settings = load_settings({"SUREHOOK_API_KEYS_FILE": str(tmp_path / "keys")})

    assert settings.api_keys[0].get_secret_value() == "#4711-the-first-key"
