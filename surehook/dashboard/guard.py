"""Decides who may see a page of the dashboard, and which page may change something."""

import hashlib
import hmac
import logging
import secrets
from urllib.parse import urlsplit

from flask import Flask, Response, request

from surehook.dashboard.logins import Logins, TooManyGuesses
from surehook.shared.auth_settings import LOOPBACK
from surehook.shared.settings import Settings

log = logging.getLogger(__name__)

COOKIE = "surehook_dashboard"
READING = ("GET", "HEAD", "OPTIONS")


class Guard:
    """The checks before each request, and the cookie and links of each response."""

    def __init__(self, settings: Settings, logins: Logins) -> None:
        login = settings.dashboard_login
        self._login = None if login is None else _digest(login.get_secret_value())
        self._logins = logins
        # A browser that logged in before does not wait behind guesses from the same address: behind a proxy all users
        # have one address. The cookie alone opens nothing.
        self._cookie = secrets.token_urlsafe(32)
        url = urlsplit(settings.dashboard_url or "")
        self._public_host = url.netloc
        self._path = url.path.rstrip("/")
        self._is_https = url.scheme == "https"

    def attach(self, app: Flask) -> None:
        for check in (self.check_host, self.check_login, self.check_page):
            app.before_request(check)
        app.after_request(self.finish)

    def check_host(self) -> Response | None:
        """Refuses other names for this machine.

        DNS rebinding: a foreign name that resolves to 127.0.0.1 makes a foreign page look like one of ours. With a
        login any name will do, because a browser sends the login only to the name it was typed for.
        """
        if self._login is not None or _hostname(request.host) in LOOPBACK:
            return None
        return sentence(403, "Without SUREHOOK_DASHBOARD_LOGIN the dashboard is only at localhost and 127.0.0.1.")

    def check_login(self) -> Response | None:
        if self._login is None:
            return None
        given = request.authorization
        if given is None or given.type != "basic":
            return self._ask_for_login()
        found = _digest(f"{given.username}:{given.password}")
        if self._is_known():
            is_right = hmac.compare_digest(found, self._login)
        else:
            login = self._login
            try:
                is_right = self._logins.check(request.remote_addr or "", lambda: hmac.compare_digest(found, login))
            except TooManyGuesses as exc:
                refusal = sentence(429, "Too many wrong logins: try again later.")
                refusal.headers["Retry-After"] = str(exc.retry_after_seconds)
                return refusal
        if is_right:
            return None
        log.warning("dashboard login refused", extra={"address": request.remote_addr})
        return self._ask_for_login()

    def check_page(self) -> Response | None:
        """Lets only pages of this dashboard change something: a browser adds the login for other sites' pages, too."""
        if request.method in READING or self._is_from_our_page():
            return None
        return sentence(403, "Only the dashboard's own pages may do this.")

    def finish(self, response: Response) -> Response:
        if self._login is not None and response.status_code not in {401, 429} and not self._is_known():
            response.set_cookie(
                COOKIE,
                self._cookie,
                path=f"{self._path}/",
                secure=self._is_https,
                httponly=True,
                samesite="Strict",
            )
        # Without scheme and name, which a proxy may have changed.
        if response.location and response.location.startswith(request.host_url):
            response.location = "/" + response.location.removeprefix(request.host_url)
        return response

    def _is_known(self) -> bool:
        return hmac.compare_digest(request.cookies.get(COOKIE, "").encode(), self._cookie.encode())

    def _ask_for_login(self) -> Response:
        refusal = sentence(401, "Log in.")
        refusal.headers["WWW-Authenticate"] = 'Basic realm="Surehook", charset="UTF-8"'
        return refusal

    def _is_from_our_page(self) -> bool:
        # jQuery sets it on its posts; another site's page would need permission by CORS, which is never given.
        if request.headers.get("X-Requested-With") != "XMLHttpRequest":
            return False
        if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
            return False
        origin = request.headers.get("Origin")
        return origin is None or urlsplit(origin).netloc in {request.host, self._public_host} - {""}


def sentence(status: int, text: str) -> Response:
    """Answers with plain text, which no browser takes for a page."""
    return Response(f"{text}\n", status, content_type="text/plain; charset=utf-8")


def _digest(credentials: str) -> bytes:
    return hashlib.sha256(credentials.encode("utf-8", "surrogateescape")).digest()


def _hostname(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None
