"""The store's address: what it means, which mistakes are said, and that it never shows a password."""

import json
import traceback
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from click.testing import CliRunner
from pydantic import ValidationError

from harness.certificates import write_certificate
from surehook.main import cli
from surehook.shared.errors import Misconfigured
from surehook.shared.settings import Settings, load_settings
from surehook.shared.store import connect, connect_async
from surehook.shared.store_address import parse_store_address

PASSWORD = "Gx7/#?@:%[]&=+ ü"
QUOTED = quote(PASSWORD, safe="")


STORE = {"host": "store", "port": 6379, "db": 0}
TLS = {**STORE, "ssl": True}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("redis://store", STORE),
        ("redis://:6380/3", {"host": "localhost", "port": 6380, "db": 3}),
        ("redis://[::1]:1/?db=2", {"host": "::1", "port": 1, "db": 2}),
        ("redis://store:1/0", {**STORE, "port": 1}),
        (f"redis://ops:{QUOTED}@store", {**STORE, "username": "ops", "password": PASSWORD}),
        (f"redis://:{QUOTED}@store", {**STORE, "password": PASSWORD}),
        ("redis://:p@ss:word@store", {**STORE, "password": "p@ss:word"}),
        (f"redis://store?username=ops&password={QUOTED}", {**STORE, "username": "ops", "password": PASSWORD}),
        ("redis://store?password=a@b+c", {**STORE, "password": "a@b+c"}),
        ("unix:///run/s@1/store.sock?db=2", {"unix_socket_path": "/run/s@1/store.sock", "db": 2}),
        ("unix://a:b@/run/s.sock", {"unix_socket_path": "/run/s.sock", "db": 0, "username": "a", "password": "b"}),
        ("redis+sentinel://:geheim@one,two:2/mine/4", {"db": 4, "password": "geheim"}),
        ("rediss://store?ssl_cert_reqs=none", {**TLS, "ssl_cert_reqs": "none"}),
        ("rediss://store?ssl_check_hostname=false", {**TLS, "ssl_check_hostname": False}),
    ],
)
def test_an_address_becomes_options_of_the_client(text: str, expected: dict[str, Any]) -> None:
    assert parse_store_address(text).server_options() == expected


def test_sentinels_have_hosts_a_service_and_a_login_of_their_own() -> None:
    address = parse_store_address(
        "redis+sentinel://:geheim@one,[::1]:2/mine?sentinel_username=a&sentinel_password=geheim2"
    )

    assert address.hosts == (("one", 26_379), ("::1", 2))
    assert address.service == "mine"
    assert address.sentinel_options() == {"username": "a", "password": "geheim2"}
    assert "geheim" not in f"{address} {address!r}"


@pytest.mark.parametrize("character", "/#?%")
@pytest.mark.parametrize("form", ["redis://:{}@store:6379/0", "rediss://ops:{}@store/1", "unix://:{}@/run/s.sock",
                                  "redis+sentinel://:{}@one:1,two:2/mine", "redis://:{}@store:1/0?db=1",
                                  "redis://:{}@store?username=ops"])  # fmt: skip
@pytest.mark.parametrize(
    "where", ["Gx7{}zzQ4w", "{}Gx7zzQ4w", "Gx7zzQ4w{}", "Gx7{}zz@Q4w", "Gx7@zz{}Q4w", "Gx7{}zz=1&Q4w"]
)
def test_a_reserved_character_in_a_password_is_said_without_the_password(character: str, form: str, where: str) -> None:
    text = form.format(where.format(character))

    with pytest.raises(Misconfigured, match=r"SUREHOOK_REDIS_URL: .*percent-encode") as failure:
        load_settings({"SUREHOOK_REDIS_URL": text})

    printed = "".join(traceback.format_exception(failure.value))
    assert not any(part in printed for part in ("Gx7", "Q4w", "zz"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("redis://store:port/0", "expected host:port"),
        ("redis://store:99999/0", "expected host:port"),
        ("redis://one,two/0", "expected host:port"),
        ("redis://store:1/zero", "the number of a database"),
        ("redis://store/1?db=2", "the database is there twice"),
        ("redis://a:b@store?password=c", "the login is there twice"),
        ("redis://store?db=", "the option db is empty"),
        ("redis://store?db=1&db=2", "the option db is there twice"),
        ("redis://store?timeout=5", "unknown option: timeout; known are db, password, username"),
        ("rediss://store?ssl_ca_cert=x", "unknown option: ssl_ca_cert; known are .*ssl_ca_certs"),
        ("redis://store?sentinel_password=x", "unknown option: one after"),
        ("redis://store?password=hunter2&x=hunter2", "unknown option: one after"),
        ("redis://store?ssl_ca_certs=x", "needs rediss://"),
        ("rediss://store?ssl_cert_reqs=maybe", "expected one of required"),
        ("rediss://store?ssl_check_hostname=maybe", "expected true or false"),
        ("rediss://store?ssl_keyfile=/etc/hostname", "needs ssl_certfile"),
        ("rediss://store?ssl_ca_certs=/none/ca.pem", "ssl_ca_certs=/none/ca.pem cannot be read: No such file"),
        ("rediss+sentinel://store/mine?ssl_ca_certs=/etc", "ssl_ca_certs=/etc cannot be read: Is a directory"),
        ("rediss://store?ssl_ca_certs=/etc/hostname", "ssl_ca_certs=/etc/hostname cannot be used"),
        ("rediss://store?ssl_certfile=/etc/hostname", "ssl_certfile=/etc/hostname cannot be used"),
        ("redis+sentinel://store:1", "host:port,host:port/service"),
        ("unix://data/store.sock", "expected unix:///folder"),
        ("redis://:%ff@store", "must be UTF-8"),
        ("store:6379", "starts with one of redis://"),
    ],
)
def test_a_mistake_in_an_address_is_a_sentence(text: str, says: str) -> None:
    with pytest.raises(Misconfigured, match=f"^SUREHOOK_REDIS_URL: .*{says}") as failure:
        load_settings({"SUREHOOK_REDIS_URL": text})

    assert "hunter2" not in str(failure.value)


def test_a_certificate_whose_key_has_a_password_is_said(tmp_path: Path) -> None:
    certificate, key = write_certificate(tmp_path, password="geheim")

    with pytest.raises(ValueError, match=f"ssl_certfile={certificate} cannot be used"):
        parse_store_address(f"rediss://store?ssl_certfile={certificate}&ssl_keyfile={key}")


@pytest.mark.parametrize(
    "text",
    [
        "redis://ops:hunter2@store:1/0",
        "redis://:hunter2@store:1/0",
        "rediss://store:1/0?password=hunter2&ssl_cert_reqs=none",
        "unix://:hunter2@/run/s.sock",
        "rediss+sentinel://:hunter2@one:1,two:2/mine?sentinel_password=hunter2",
    ],
)
def test_nothing_that_holds_an_address_shows_its_password(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings({"SUREHOOK_REDIS_URL": text})
    monkeypatch.setenv("SUREHOOK_REDIS_URL", text)
    client, looping = connect(settings, timeout_seconds=1), connect_async(settings, timeout_seconds=1)

    shown = [settings, settings.redis_url, settings.model_dump(), client, looping, client.connection_pool]
    printed = " ".join(f"{each} {each!r}" for each in shown)
    for arguments in (["config"], ["config", "--json"]):
        printed += CliRunner().invoke(cli, arguments).output

    assert "hunter2" not in printed
    assert "********@" in printed


def test_an_error_of_the_constructor_shows_no_password() -> None:
    with pytest.raises(ValidationError) as failure:
        Settings(redis_url="http://:hunter2@store", api_keys=("hunter2",))

    assert "hunter2" not in str(failure.value)


def test_config_shows_the_place_and_the_tls_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUREHOOK_REDIS_URL", "rediss://ops:hunter2@store:1/3?ssl_check_hostname=no")

    shown = json.loads(CliRunner().invoke(cli, ["config", "--json"]).output)

    assert shown["SUREHOOK_REDIS_URL"]["value"] == "rediss://********@store:1/3?ssl_check_hostname=False"
