"""A client of FusionAuth's API, for what concerns webhooks; it reads both shapes where the sources disagree."""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any, Self

import httpx

from surehook.fusionauth.transport import MAX_RESPONSE_BYTES, FusionAuthError, KeyRefused, Transport
from surehook.shared.errors import Misconfigured
from surehook.shared.settings import Settings

Json = dict[str, Any]

SEARCH = "/api/system/webhook-event-log/search"


class FusionAuthClient:
    """`with` closes its connections. It sends the API key as it is, without `Bearer` (FACTS §9)."""

    def __init__(self, url: str, api_key: str, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self.url = url.rstrip("/")
        self._transport = Transport(self.url, api_key, sleep)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._transport.close()

    @property
    def clock_skew_ms(self) -> int:
        """How far FusionAuth's clock is ahead of this machine's, by its last answer."""
        return self._transport.clock_skew_ms

    def now_ms(self) -> int:
        """Returns the time by FusionAuth's clock, which the instants in its records are of."""
        return int(time.time() * 1000) + self.clock_skew_ms

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

    def search_event_log(
        self, *, start_ms: int, end_ms: int, start_row: int, rows: int, max_bytes: int = MAX_RESPONSE_BYTES
    ) -> tuple[int, list[Json]]:
        """Returns the number of all entries in a window, and a page of them, the oldest first.

        The window contains its start and not its end. A page may hold fewer rows than asked although more exist
        (FACTS §16).

        Raises:
            SearchTooBroad: the page is larger than `max_bytes`, or the search takes too long.
        """
        search = {"start": start_ms, "end": end_ms, "startRow": start_row, "numberOfResults": rows}
        body = {"search": {**search, "orderBy": "sequence ASC"}}
        found = self.send("POST", SEARCH, body, max_bytes=max_bytes)
        total, page = found.get("total"), found.get("webhookEventLogs", [])
        if not isinstance(total, int) or not isinstance(page, list):
            raise FusionAuthError(f"{self.url}{SEARCH} does not answer as FusionAuth does: it names no total")
        return total, _objects(found, "webhookEventLogs")

    def get(self, path: str) -> Json:
        return self.send("GET", path)

    def send(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        max_bytes: int = MAX_RESPONSE_BYTES,
    ) -> Json:
        """Returns the object that FusionAuth answers with, empty for an empty answer.

        Raises:
            KeyRefused: the API key is not enough.
            FusionAuthError: no answer after retries, another refusal, or something else than JSON. Its text has
                neither the key nor what was sent.
        """
        response = self._transport.answer(method, path, body, max_bytes)
        if response.status == httpx.codes.UNAUTHORIZED:
            raise KeyRefused(method, path)
        if response.location:
            raise FusionAuthError(
                f"{self.url}{path} redirects to {response.location}: SUREHOOK_FUSIONAUTH_URL must be the last address"
            )
        if not response.is_success:
            raise FusionAuthError(f"FusionAuth answers {response.status} to {method} {path}{_codes(response.content)}")
        if not response.content:
            return {}
        try:
            found = json.loads(response.content)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise FusionAuthError(
                f"{self.url}{path} does not answer as FusionAuth does: is SUREHOOK_FUSIONAUTH_URL its address?"
            )
        return found


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


def _codes(content: bytes) -> str:
    """Returns the codes of the errors in an answer, never their messages, which may quote what was sent."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
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
