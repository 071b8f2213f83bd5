"""The store's address, parsed once. It cannot print a password, and errors about it quote no part that may be one."""

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from pydantic import SecretStr

from surehook.shared.files import read_file
from surehook.shared.sources import reason

TLS_SCHEMES = ("rediss", "rediss+sentinel")
SENTINEL_SCHEMES = ("redis+sentinel", "rediss+sentinel")
SCHEMES = ("redis", "rediss", "unix", *SENTINEL_SCHEMES)
STORE_PORT, SENTINEL_PORT, HIGHEST_PORT = 6379, 26_379, 65_535
# In the address's query; named as in redis-py.
TLS_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
TLS_OPTIONS = (*TLS_FILES, "ssl_cert_reqs", "ssl_check_hostname")
LOGIN_OPTIONS = ("username", "password")
SENTINEL_LOGIN_OPTIONS = ("sentinel_username", "sentinel_password")
CERT_REQS = ("required", "optional", "none")
LOCAL = {"localhost": "127.0.0.1", "::1": "127.0.0.1"}
TRUE, FALSE = ("true", "1", "yes"), ("false", "0", "no")
MASK = "********"
ENCODE = (
    "in a user name or password, percent-encode reserved characters: / as %2F, # as %23, ? as %3F, @ as %40, % as %25 "
    "(`python -c 'import sys, urllib.parse; print(urllib.parse.quote(sys.stdin.read().strip(), safe=\"\"))'` does it)"
)
_HOST = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[^:\[\]]*)(?::(\d{1,5}))?")
_WORD = re.compile(r"[A-Za-z0-9._-]+")
_OPTION_NAME = re.compile(r"[a-z_]{1,40}")


@dataclass(frozen=True, slots=True)
class StoreAddress:
    """The place of the store, and the login. `hosts` are the Sentinels' if `service` is set."""

    scheme: str
    place: str  # host, path and database as they were written
    hosts: tuple[tuple[str, int], ...] = ()
    path: str = ""
    service: str = ""
    database: int = 0
    login: Mapping[str, SecretStr] = field(default_factory=dict)
    sentinel_login: Mapping[str, SecretStr] = field(default_factory=dict)
    tls: Mapping[str, str | bool] = field(default_factory=dict)

    def __str__(self) -> str:
        login = f"{MASK}@" if self.login or self.sentinel_login else ""
        query = "&".join(f"{name}={value}" for name, value in self.tls.items() if name != "ssl")
        return f"{self.scheme}://{login}{self.place}{'?' if query else ''}{query}"

    def __repr__(self) -> str:
        return f"StoreAddress({str(self)!r})"

    @property
    def identity(self) -> str:
        """The place, the same however it was written: without the login, TLS and the order of the Sentinels."""
        hosts = ",".join(sorted(f"{LOCAL.get(host.lower(), host.lower())}:{port}" for host, port in self.hosts))
        return "/".join(filter(None, (hosts or self.path, self.service, f"{self.database}")))

    def server_options(self) -> dict[str, Any]:
        """The keyword arguments for a client of redis-py; without a host if Sentinels know it."""
        options: dict[str, Any] = {"db": self.database, **_revealed(self.login), **self.tls}
        if self.path:
            return options | {"unix_socket_path": self.path}
        if not self.service:
            (options["host"], options["port"]), *_ = self.hosts
        return options

    def sentinel_options(self) -> dict[str, Any]:
        """The keyword arguments for the clients of the Sentinels."""
        return {**_revealed(self.sentinel_login), **self.tls}


def socket_address(path: Path) -> StoreAddress:
    return StoreAddress("unix", str(path), path=str(path))


def parse_store_address(text: str) -> StoreAddress:
    """
    Raises:
        ValueError: says what is wrong, without a part that may belong to a password.
    """
    scheme, _, rest = text.partition("://")
    if scheme not in SCHEMES:
        raise ValueError(f"expected an address that starts with one of {', '.join(f'{each}://' for each in SCHEMES)}")
    before, _, query = rest.partition("?")
    authority, slash, path = before.partition("/")
    login, at, hosts = authority.rpartition("@")
    is_in_path = "@" in path and (scheme != "unix" or (bool(authority) and not at))
    if "#" in text or is_in_path or (not at and "@" in query and not _are_options(query)):
        raise ValueError(f"a reserved character is where it does not belong; {ENCODE}")
    options = _options(query, scheme)
    given = _login(login) if at else {}
    if given.keys() & options.keys():
        raise ValueError("the login is there twice, before the host and as an option: keep one")
    given |= {name: SecretStr(options[name]) for name in LOGIN_OPTIONS if options.get(name)}
    address = StoreAddress(
        scheme,
        f"{hosts}{slash}{path}",
        login=given,
        sentinel_login={
            name.removeprefix("sentinel_"): SecretStr(options[name])
            for name in SENTINEL_LOGIN_OPTIONS
            if name in options
        },
        tls=_tls(scheme, options),
        **_place(scheme, hosts, path, options.get("db")),
    )
    _check_files(address.tls)
    return address


def _place(scheme: str, hosts: str, path: str, database: str | None) -> dict[str, Any]:
    if scheme == "unix":
        if hosts or not path:
            raise ValueError(f"expected unix:///folder/of/store.sock; {ENCODE}")
        return {"path": f"/{_decoded(path)}", "database": _database(database or "")}
    service, _, in_path = path.strip("/").partition("/") if scheme in SENTINEL_SCHEMES else ("", "", path.strip("/"))
    if scheme in SENTINEL_SCHEMES and not _WORD.fullmatch(service):
        raise ValueError(f"expected {scheme}://host:port,host:port/service")
    if in_path and database:
        raise ValueError("the database is there twice, in the path and as an option: keep one")
    port = SENTINEL_PORT if service else STORE_PORT
    addresses = tuple(_host(each, port) for each in (hosts.split(",") if service else [hosts]))
    return {"hosts": addresses, "service": service, "database": _database(in_path or database or "")}


def _host(text: str, default_port: int) -> tuple[str, int]:
    match = _HOST.fullmatch(text)
    if match is None or "," in text or int(match[2] or 0) > HIGHEST_PORT:
        raise ValueError(f"expected host:port after the scheme and the login; {ENCODE}")
    return match[1].strip("[]") or "localhost", int(match[2] or default_port)


def _database(text: str) -> int:
    if text and not re.fullmatch(r"\d{1,5}", text):
        raise ValueError(f"expected the number of a database after the host; {ENCODE}")
    return int(text or 0)


def _login(text: str) -> dict[str, SecretStr]:
    name, _, password = text.partition(":")
    pairs = {"username": _decoded(name), "password": _decoded(password)}
    return {name: SecretStr(value) for name, value in pairs.items() if value}


def _are_options(query: str) -> bool:
    names = [part.partition("=")[0] for part in query.split("&")]
    return set(names) <= {"db", *LOGIN_OPTIONS, *SENTINEL_LOGIN_OPTIONS, *TLS_OPTIONS}


def _options(query: str, scheme: str) -> dict[str, str]:
    allowed = {"db", *LOGIN_OPTIONS, *(SENTINEL_LOGIN_OPTIONS if scheme in SENTINEL_SCHEMES else ())}
    options: dict[str, str] = {}
    for part in filter(None, query.split("&")):
        name, _, value = part.partition("=")
        if name in TLS_OPTIONS and scheme not in TLS_SCHEMES:
            raise ValueError(f"the option {name} needs rediss:// or rediss+sentinel://")
        if name not in allowed and name not in TLS_OPTIONS:
            # The name may be a part of a password nearby.
            is_safe = _OPTION_NAME.fullmatch(name) and "password" not in query and "@" not in query
            which = name if is_safe else "one after ? or &"
            known = ", ".join(sorted({*allowed, *(TLS_OPTIONS if scheme in TLS_SCHEMES else ())}))
            raise ValueError(f"unknown option: {which}; known are {known}. Also, {ENCODE}")
        if name in options or not value:
            raise ValueError(f"the option {name} is {'there twice' if name in options else 'empty'}")
        options[name] = _decoded(value)
    return options


def _decoded(text: str) -> str:
    if re.search(r"%(?![0-9A-Fa-f]{2})", text):
        raise ValueError(f"a % stands alone; {ENCODE}")
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise ValueError(f"percent-encoded characters must be UTF-8; {ENCODE}") from None


def _tls(scheme: str, options: Mapping[str, str]) -> dict[str, str | bool]:
    if scheme not in TLS_SCHEMES:
        return {}
    found: dict[str, str | bool] = {"ssl": True, **{name: options[name] for name in TLS_FILES if name in options}}
    if "ssl_cert_reqs" in options:
        if options["ssl_cert_reqs"] not in CERT_REQS:
            raise ValueError(f"the option ssl_cert_reqs: expected one of {', '.join(CERT_REQS)}")
        found["ssl_cert_reqs"] = options["ssl_cert_reqs"]
    if "ssl_check_hostname" in options:
        given = options["ssl_check_hostname"].lower()
        if given not in TRUE + FALSE:
            raise ValueError("the option ssl_check_hostname: expected true or false")
        found["ssl_check_hostname"] = given in TRUE
    if "ssl_keyfile" in found and "ssl_certfile" not in found:
        raise ValueError("the option ssl_keyfile needs ssl_certfile")
    return found


def _check_files(tls: Mapping[str, str | bool]) -> None:
    """Checks the files now: a client would report them as an outage of the store, for ever."""
    for name in TLS_FILES:
        if name in tls:
            try:
                read_file(Path(str(tls[name])), is_read_again=True)
            except OSError as exc:
                raise ValueError(f"the option {name}={tls[name]} cannot be read: {reason(exc)}") from None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    name = "ssl_ca_certs"
    try:
        if name in tls:
            context.load_verify_locations(str(tls[name]))
        name = "ssl_certfile"
        if name in tls:
            # An empty password, or OpenSSL would ask the terminal for one.
            context.load_cert_chain(str(tls[name]), str(tls.get("ssl_keyfile", tls[name])), lambda: b"")
    except (ssl.SSLError, OSError, ValueError) as exc:
        why = getattr(exc, "reason", None) or "no PEM"
        raise ValueError(f"the option {name}={tls[name]} cannot be used ({why})") from None


def _revealed(login: Mapping[str, SecretStr]) -> dict[str, str]:
    return {name: value.get_secret_value() for name, value in login.items()}
