"""A client of FusionAuth's API, for what concerns webhooks; it reads both shapes where the sources disagree."""

import time
from collections.abc import Callable, Mapping
from typing import Any, Self

import httpx

from surehook.shared.errors import Misconfigured, SurehookError
from surehook.shared.settings import Settings

Json = dict[str, Any]

TIMEOUT = httpx.Timeout(30.0, connect=5.0)
# A search of the event log may take this long on a large one (FACTS §14).
RETRY_SECONDS = (0.5, 2.0, 8.0)
RETRIED_STATUSES = (429, 500, 502, 503, 504)
MAX_RESPONSE_BYTES = 256 * 1024 * 1024


class FusionAuthError(SurehookError):
    """FusionAuth cannot be asked, or refuses what was asked."""


class FusionAuthClient:
    """`with` closes its connections. It sends the API key as it is, without `Bearer` (FACTS §9)."""

    def __init__(self, url: str, api_key: str, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self.url = url.rstrip("/")
        self._sleep = sleep
        # FusionAuth redirects nothing; a proxy that does would lose the key or the method.
        self._http = httpx.Client(base_url=self.url, headers={"Authorization": api_key}, timeout=TIMEOUT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def version(self) -> str:
        """Returns FusionAuth's version, such as 1.69.0."""
        return str(self.get("/api/system/version").get("version") or "")

    def webhooks(self) -> list[Json]:
        """Returns all webhooks. Their passwords and headers come in clear: never print them."""
        return _objects(self.get("/api/webhook"), "webhooks")

    def tenants(self) -> list[Json]:
        return _objects(self.get("/api/tenant"), "tenants")

    def keys(self) -> list[Json]:
        """Returns all keys, without private parts and secrets."""
        return _objects(self.get("/api/key"), "keys")

    def system_configuration(self) -> Json:
        return _object(self.get("/api/system-configuration"), "systemConfiguration")

    def integrations(self) -> Json:
        return _object(self.get("/api/integration"), "integrations")

    def search_event_log(self, *, start_ms: int, end_ms: int, start_row: int, rows: int) -> tuple[int, list[Json]]:
        """Returns the number of all entries in a window, and a page of them, the oldest first.

        The window contains its start and not its end. A page may hold fewer rows than asked although more exist
        (FACTS §16).
        """
        search = {"start": start_ms, "end": end_ms, "startRow": start_row, "numberOfResults": rows}
        found = self.send(
            "POST", "/api/system/webhook-event-log/search", {"search": {**search, "orderBy": "sequence ASC"}}
        )
        return int(found.get("total") or 0), _objects(found, "webhookEventLogs")

    def get(self, path: str) -> Json:
        return self.send("GET", path)

    def send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Json:
        """Returns the object that FusionAuth answers with, empty for an empty answer.

        Raises:
            FusionAuthError: no answer after retries, a refusal, or something else than JSON. Its text has neither the
                key nor what was sent.
        """
        response = self._answer(method, path, body)
        if response.status_code == httpx.codes.UNAUTHORIZED:
            raise FusionAuthError(
                f"FusionAuth refuses the API key for {method} {path}: SUREHOOK_FUSIONAUTH_API_KEY must be a global key "
                "(without a tenant) that may use this endpoint"
            )
        if not response.is_success:
            raise FusionAuthError(f"FusionAuth answers {response.status_code} to {method} {path}{_codes(response)}")
        if not response.content:
            return {}
        try:
            found = response.json()
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise FusionAuthError(
                f"{self.url}{path} does not answer as FusionAuth does: is SUREHOOK_FUSIONAUTH_URL its address?"
            )
        return found

    def _answer(self, method: str, path: str, body: Mapping[str, Any] | None) -> httpx.Response:
        """Sends a request, again where another attempt may help. Only what reads is repeated after a lost answer."""
        is_safe = method == "GET" or path.endswith("/search")
        problem = ""
        for pause in (*RETRY_SECONDS, None):
            try:
                response = self._http.request(method, path, json=body)
            except httpx.TransportError as exc:
                problem = type(exc).__name__
                if not is_safe and not isinstance(exc, httpx.ConnectError | httpx.ConnectTimeout):
                    break
            else:
                if response.status_code not in RETRIED_STATUSES or not is_safe or pause is None:
                    return response
            if pause is not None:
                self._sleep(pause)
        raise FusionAuthError(f"no answer from FusionAuth at {self.url} ({problem}): check SUREHOOK_FUSIONAUTH_URL")


def open_client(settings: Settings) -> FusionAuthClient:
    """Returns a client for the FusionAuth of the settings.

    Raises:
        Misconfigured: the settings name none, or no key of it.
    """
    if not settings.fusionauth_url or settings.fusionauth_api_key is None:
        raise Misconfigured(
            "this command asks FusionAuth: set SUREHOOK_FUSIONAUTH_URL (such as https://auth.example.com) and "
            "SUREHOOK_FUSIONAUTH_API_KEY (a global API key)"
        )
    return FusionAuthClient(settings.fusionauth_url, settings.fusionauth_api_key.get_secret_value())


def _object(found: Json, name: str) -> Json:
    part = found.get(name)
    return part if isinstance(part, dict) else {}


def _objects(found: Json, name: str) -> list[Json]:
    parts = found.get(name)
    return [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []


def _codes(response: httpx.Response) -> str:
    """Returns the codes of the errors in an answer, never their messages, which may quote what was sent."""
    try:
        found = response.json()
    except ValueError:
        return ""
    if not isinstance(found, dict):
        return ""
    errors: list[Any] = []
    for part in (found.get("generalErrors"), found.get("fieldErrors")):
        # The documentation shows field errors as a map of lists, the published OpenAPI as a list.
        lists = part.values() if isinstance(part, dict) else [part]
        for each in lists:
            errors += each if isinstance(each, list) else []
    codes = [str(error["code"]) for error in errors if isinstance(error, dict) and "code" in error]
    return f": {', '.join(codes[:5])}" if codes else ""
