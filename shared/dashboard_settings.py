"""The settings of the dashboard's address and logins."""

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, SecretStr

from surehook.shared.auth_settings import LOOPBACK, require_length
from surehook.shared.sources import PREFIX


def _require_login(value: SecretStr | None) -> SecretStr | None:
    if value is None:
        return None
    if not all(value.get_secret_value().partition(":")):
        raise ValueError("expected user:password")
    require_length(value.get_secret_value().partition(":")[2], "the password")
    return value


def _require_url(value: str | None) -> str | None:
    if value is None or re.fullmatch(r"https?://[\w.-]+(:\d+)?(/[\w.~-]+)*/?", value, re.ASCII):
        return value
    raise ValueError("expected an address such as https://ops.example.com/surehook")


Login = Annotated[SecretStr | None, AfterValidator(_require_login)]
Url = Annotated[str | None, AfterValidator(_require_url)]


def require_logins(bind: str, url: str | None, login: SecretStr | None, reader: SecretStr | None) -> None:
    """
    Raises:
        ValueError: other machines would reach the dashboard without a login, or the two logins cannot be told apart.
    """
    if login is not None:
        if reader is not None and _user(reader) == _user(login):
            raise ValueError(f"{PREFIX}DASHBOARD_READER: expected another user name than in {PREFIX}DASHBOARD_LOGIN")
        return
    if reader is not None:
        raise ValueError(f"{PREFIX}DASHBOARD_READER may only look: set {PREFIX}DASHBOARD_LOGIN=user:password as well")
    if bind.rpartition(":")[0].strip("[]") not in LOOPBACK:
        raise ValueError(
            f"{PREFIX}DASHBOARD_BIND={bind} is open to other machines: "
            f"set {PREFIX}DASHBOARD_LOGIN=user:password, or bind to 127.0.0.1"
        )
    if url and urlsplit(url).hostname not in LOOPBACK:
        raise ValueError(
            f"{PREFIX}DASHBOARD_URL={url} is open to other machines: set {PREFIX}DASHBOARD_LOGIN=user:password"
        )


def _user(login: SecretStr) -> str:
    return login.get_secret_value().partition(":")[0]
