"""Reads the configuration from the environment, `.env` and files, and reports all mistakes in one error."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, model_validator

from surehook.shared.auth_settings import SECRET_LISTS, AuthSettings, Words, split
from surehook.shared.dashboard_settings import Login, Url, require_logins
from surehook.shared.errors import Misconfigured
from surehook.shared.keys import DEFAULT_PREFIX, RQ_PREFIX
from surehook.shared.retention_settings import BodyRetention, IdRetention, default_body_retention, default_id_retention
from surehook.shared.sources import PREFIX, Found, Names, find_settings
from surehook.shared.store_address import StoreAddress, parse_store_address
from surehook.shared.transactional_events import transactional_types

# They can come from a file, and are never shown.
SECRETS = (*SECRET_LISTS, "dashboard_login", "dashboard_reader", "encryption_keys", "fusionauth_api_key", "redis_url")
CONSEQUENCES = {"default_factory_not_called"}  # errors of a setting whose default depends on another one
HIGHEST_PORT = 65_535
UNIX = "unix:"  # before the path of a Unix socket in BIND
SYSTEMD = "systemd"  # as BIND: the socket that systemd passes
MEBIBYTE = 1024 * 1024
OFF = "off"


def _require_address(value: str) -> str:
    host, _, port = value.rpartition(":")
    is_port = port.isascii() and port.isdigit() and int(port) <= HIGHEST_PORT
    if not is_port or not re.fullmatch(r"[A-Za-z0-9._-]{1,253}|\[?[0-9A-Fa-f:.]+(%\w+)?\]?", host):
        raise ValueError("expected host:port, such as 127.0.0.1:8000")
    return value


def _require_listen_address(value: str) -> str:
    if value == SYSTEMD or (value.startswith(UNIX) and value != UNIX):
        return value
    try:
        return _require_address(value)
    except ValueError as exc:
        raise ValueError(f"{exc}, or [::]:8000, unix:/run/surehook/ingest.sock, or {SYSTEMD}") from None


def _require_address_or_off(value: str) -> str:
    return value if value == "off" else _require_address(value)


def _require_path(value: str) -> str:
    if not re.fullmatch(r"/[A-Za-z0-9._~/-]*", value):
        raise ValueError("expected a path such as /fusionauth-webhook")
    return value


def _require_prefix(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", value):
        raise ValueError("expected letters, digits, '.', '_' or '-'")
    if value == RQ_PREFIX:
        raise ValueError("expected another prefix: RQ's own keys begin with this")
    return value


def _require_fernet_keys(value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    if not value:
        return value

    from cryptography.fernet import Fernet  # noqa: PLC0415 - slow to import, and not needed without keys

    for position, key in enumerate(value, 1):
        try:
            Fernet(key.get_secret_value())
        except ValueError:
            raise ValueError(
                f"number {position} is no Fernet key (32 random bytes in URL-safe base64, newest first): make one with "
                "`python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'`"
            ) from None
    return value


FernetKeys = Annotated[tuple[SecretStr, ...], BeforeValidator(split), AfterValidator(_require_fernet_keys)]


def _require_transactional_types(entries: tuple[str, ...]) -> tuple[str, ...]:
    try:
        transactional_types(entries)
    except Misconfigured as exc:
        raise ValueError(str(exc)) from exc
    return entries


def _require_folder_or_off(value: str) -> str:
    if not value.strip("/."):
        raise ValueError(f"expected a folder of its own, or {OFF}")
    return value


def _default_spool(given: dict[str, Any]) -> str:
    """One disk is less than the replicas that DURABILITY=replicated asks for."""
    return OFF if given["durability"] == "replicated" else str(given["data_dir"] / "spool")


def _default_store_timeout(given: dict[str, Any]) -> float:
    """FusionAuth waits 2 s: with a spool there is something left to do in that time."""
    return 1.5 if given["spool_dir"] == OFF else 0.5


def _parsed(value: Any) -> Any:
    return parse_store_address(value) if isinstance(value, str) else value


Address = Annotated[str, AfterValidator(_require_address)]
AddressOrOff = Annotated[str, AfterValidator(_require_address_or_off)]
Upper = BeforeValidator(lambda value: value.upper() if isinstance(value, str) else value)


class Settings(AuthSettings):
    """The settings in force. Durations are seconds, sizes bytes, addresses `host:port`."""

    redis_url: Annotated[StoreAddress | None, BeforeValidator(_parsed)] = None
    data_dir: Path = Path("data")
    key_prefix: Annotated[str, AfterValidator(_require_prefix)] = DEFAULT_PREFIX
    bind: Annotated[str, AfterValidator(_require_listen_address)] = "127.0.0.1:8000"
    webhook_path: Annotated[str, AfterValidator(_require_path)] = "/fusionauth-webhook"
    metrics_bind: AddressOrOff = "127.0.0.1:9464"
    worker_metrics_bind: AddressOrOff = "127.0.0.1:9465"
    dashboard_bind: Address = "127.0.0.1:9181"
    dashboard_login: Login = None
    dashboard_reader: Login = None
    dashboard_url: Url = None
    encryption_keys: FernetKeys = ()
    max_body_bytes: int = Field(10 * MEBIBYTE, ge=1024)
    max_body_bytes_in_flight: int = Field(256 * MEBIBYTE, ge=1024)
    max_pending: int = Field(10_000, ge=1)
    keep_alive: int = Field(620, ge=1)
    max_backlog: int = Field(1_000_000, ge=1)
    durability: Literal["fsync", "replicated", "trusted", "memory"] = "fsync"
    replicas: int = Field(1, ge=1)
    spool_dir: Annotated[str, AfterValidator(_require_folder_or_off)] = Field(default_factory=_default_spool)
    spool_max_bytes: int = Field(1024 * MEBIBYTE, ge=1024)
    store_timeout: float = Field(default_factory=_default_store_timeout, gt=0)
    handlers: Words = ()
    transactional_events: Annotated[Words, AfterValidator(_require_transactional_types)] = ()
    transaction_timeout: float = Field(1.5, ge=0.1)
    decision_memory: int = Field(60, ge=1)
    handler_timeout: float = Field(30, gt=0)
    grace: float = Field(25, ge=0)
    recycle_jobs: int = Field(0, ge=0)
    recycle_mib: int = Field(0, ge=0)
    retention: int = Field(86_400, ge=1)
    body_retention: BodyRetention = Field(default_factory=default_body_retention, ge=1)
    id_retention: IdRetention = Field(default_factory=default_id_retention, ge=1)
    fusionauth_url: Url = None
    fusionauth_api_key: SecretStr | None = None
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], Upper] = "INFO"
    log_format: Literal["json", "text"] | None = None

    @model_validator(mode="after")
    def _require_dashboard_login(self) -> "Settings":
        require_logins(self.dashboard_bind, self.dashboard_url, self.dashboard_login, self.dashboard_reader)
        return self


def host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def load_settings(environ: Mapping[str, str] = os.environ, **overrides: Any) -> Settings:
    """Read the environment, `.env` and the files of secrets.

    Raises:
        Misconfigured: names every mistake and every misspelt name, what was expected, and never a secret's value.
    """
    found = found_settings(environ)
    return build_settings(found, [each.sentence for each in found.unknown], **overrides)


def found_settings(environ: Mapping[str, str] = os.environ) -> Found:
    """Returns the settings that are given, as text, with all problems of their sources."""
    lists = {*SECRET_LISTS, "encryption_keys"}
    return find_settings(environ, Names(tuple(Settings.model_fields), SECRETS, lists))


def build_settings(found: Found, mistakes: Sequence[str] = (), **overrides: Any) -> Settings:
    """Check the settings that were found.

    Raises:
        Misconfigured: the sources or the values have mistakes, or `mistakes` are given.
    """
    told = [*mistakes, *found.mistakes]
    values = {name: given.text for name, given in found.given.items()}
    try:
        settings = Settings(**{**values, **overrides})
    except ValidationError as exc:
        raise Misconfigured(
            "\n".join([*told, *(_sentence(each, found) for each in exc.errors() if each["type"] not in CONSEQUENCES)])
        ) from None
    if told:
        raise Misconfigured("\n".join(told))
    return settings


def _sentence(error: Any, found: Found) -> str:
    message = error["msg"].removeprefix("Value error, ")
    if not error["loc"]:
        return str(message)
    field = str(error["loc"][0])
    label = found.given[field].label if field in found.given else PREFIX + field.upper()
    given = error.get("input")
    # An address with an @ may hold a password where none was expected.
    is_hidden = field in SECRETS or not isinstance(given, str) or "@" in given
    shown = "" if is_hidden else f"={given}"
    return f"{label}{shown}: {message[0].lower() + message[1:]}"
