"""Decides who may see a page of the dashboard, and what may change something."""

import base64
import binascii
import hashlib
import hmac
import logging
from dataclasses import dataclass
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from surehook.dashboard.headers import own_page_headers, text_headers
from surehook.dashboard.logins import Logins, TooManyGuesses
from surehook.dashboard.tokens import Tokens
from surehook.shared.auth_settings import LOOPBACK
from surehook.shared.settings import Settings

log = logging.getLogger(__name__)

COOKIE = "surehook_dashboard"
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
USER = "surehook.user"
NO_LOGIN = "dashboard, no login"
SEARCH = "/find"
"""A POST that changes nothing: it is one so that e-mail addresses do not stand in the address of a page."""


@dataclass(frozen=True, slots=True)
class User:
    """The person behind a request. Without a login the name is empty."""

    name: str
    may_act: bool

    @property
    def who(self) -> str:
        """The user, as the audit names them."""
        return self.name or NO_LOGIN


class Guard:
    """The checks before each request, and the headers of each response. It puts the `User` into the scope."""

    def __init__(self, app: ASGIApp, settings: Settings, logins: Logins, tokens: Tokens) -> None:
        self._app = app
        self._users = {
            _digest(login.get_secret_value()): User(login.get_secret_value().partition(":")[0], may_act)
            for login, may_act in ((settings.dashboard_login, True), (settings.dashboard_reader, False))
            if login is not None
        }
        self._logins = logins
        # A browser that logged in before does not wait behind guesses from the same address: behind a proxy all users
        # have one address. The cookie alone opens nothing, and that of one login does not help to guess another's.
        self._cookies = {user: tokens.cookie(user.name) for user in self._users.values()}
        url = urlsplit(settings.dashboard_url or "")
        self._public_host = url.netloc
        self._path = url.path.rstrip("/")
        self._is_https = url.scheme == "https"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        refusal = self._check_host(request)
        user: User | None = None
        if refusal is None:
            user, refusal = await run_in_threadpool(self._log_in, request)
        if refusal is None and user is not None:
            refusal = self._check_change(request, user)
        scope[USER] = user
        cookie = self._cookies.get(user) if user is not None else None

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message.setdefault("headers", [])
                headers = MutableHeaders(scope=message)
                for name, value in own_page_headers().items():
                    headers.setdefault(name, value)
                if cookie is not None and request.cookies.get(COOKIE) != cookie:
                    headers.append("Set-Cookie", self._new_cookie(cookie))
            await send(message)

        await (refusal or self._app)(scope, receive, send_with_headers)

    def _check_host(self, request: Request) -> Response | None:
        """Refuses other names for this machine.

        DNS rebinding: a foreign name that resolves to 127.0.0.1 makes a foreign page look like one of ours. With a
        login any name will do, because a browser sends the login only to the name it was typed for.
        """
        if self._users or _hostname(_host(request)) in LOOPBACK:
            return None
        return sentence(403, "Without SUREHOOK_DASHBOARD_LOGIN the dashboard is only at localhost and 127.0.0.1.")

    def _log_in(self, request: Request) -> tuple[User | None, Response | None]:
        """Returns the user, or the refusal."""
        if not self._users:
            return User("", may_act=True), None
        given = _credentials(request.headers.get("authorization", ""))
        if given is None:
            return None, _ask_for_login()
        known = self._user_of_cookie(request)
        if known is not None and self._user(given) == known:
            return known, None
        address = request.client.host if request.client else ""
        try:
            is_right = self._logins.check(address, lambda: self._user(given) is not None)
        except TooManyGuesses as exc:
            refusal = sentence(429, "Too many wrong logins: try again later.")
            refusal.headers["Retry-After"] = str(exc.retry_after_seconds)
            return None, refusal
        if is_right:
            return self._user(given), None
        log.warning("dashboard login refused", extra={"address": address})
        return None, _ask_for_login()

    def _user(self, credentials: bytes) -> User | None:
        found = hashlib.sha256(credentials).digest()
        matches = [user for login, user in self._users.items() if hmac.compare_digest(found, login)]
        return matches[0] if matches else None

    def _check_change(self, request: Request, user: User) -> Response | None:
        """Lets only pages of this dashboard change something: a browser adds the login for other sites' pages, too."""
        if request.method in SAFE_METHODS:
            return None
        if not user.may_act and request.scope["path"] != SEARCH:
            return sentence(403, "This login may look, but change nothing: SUREHOOK_DASHBOARD_LOGIN may.")
        if self._is_from_our_page(request):
            return None
        return sentence(403, "Only the dashboard's own pages may do this.")

    def _is_from_our_page(self, request: Request) -> bool:
        if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
            return False
        origin = request.headers.get("Origin")
        return origin is None or _netloc(origin) in {_host(request), self._public_host} - {""}

    def _user_of_cookie(self, request: Request) -> User | None:
        """The user who logged in with this browser."""
        given = request.cookies.get(COOKIE, "").encode()
        matches = [user for user, cookie in self._cookies.items() if hmac.compare_digest(given, cookie.encode())]
        return matches[0] if matches else None

    def _new_cookie(self, value: str) -> str:
        cookie: Any = SimpleCookie({COOKIE: value})
        cookie[COOKIE] |= {"path": f"{self._path}/", "httponly": True, "samesite": "Strict", "secure": self._is_https}
        return str(cookie[COOKIE].OutputString())


def sentence(status: int, text: str) -> Response:
    """Answers with plain text, which no browser takes for a page."""
    return PlainTextResponse(f"{text}\n", status, headers=text_headers())


def _ask_for_login() -> Response:
    refusal = sentence(401, "Log in.")
    refusal.headers["WWW-Authenticate"] = 'Basic realm="Surehook", charset="UTF-8"'
    return refusal


def _credentials(header: str) -> bytes | None:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None


def _digest(credentials: str) -> bytes:
    return hashlib.sha256(credentials.encode("utf-8", "surrogateescape")).digest()


def _host(request: Request) -> str:
    return request.headers.get("host", "")


def _netloc(address: str) -> str | None:
    try:
        return urlsplit(address).netloc
    except ValueError:
        return None


def _hostname(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None
