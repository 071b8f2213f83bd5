"""A client of FusionAuth's API, for what concerns webhooks; it reads both shapes where the sources disagree."""

import json
import re
import time
from collections.abc import Callable, Mapping
from typing import Any, Self

import httpx

from surehook.fusionauth.shapes import CONFIGURATION, INTEGRATIONS, KEY, TENANT, WEBHOOK, require_shape
from surehook.fusionauth.transport import (
    MAX_RESPONSE_BYTES,
    Answer,
    FusionAuthError,
    KeyRefused,
    PageUnreadable,
    Transport,
)
from surehook.shared.errors import Misconfigured
from surehook.shared.settings import Settings

Json = dict[str, Any]

SEARCH = "/api/system/webhook-event-log/search"
NO_OBJECT = "is SUREHOOK_FUSIONAUTH_URL its address?"
_TOKEN = re.compile(rb'"((?:[^"\\]|\\.)*)"|[\[\]{}]', re.DOTALL)
_UUID = re.compile(rb"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


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
        return self._records("/api/webhook", "webhooks", WEBHOOK)

    def tenants(self) -> list[Json]:
        return self._records("/api/tenant", "tenants", TENANT)

    def keys(self) -> list[Json]:
        """Returns all keys, without private parts and secrets."""
        return self._records("/api/key", "keys", KEY)

    def system_configuration(self) -> Json:
        return self._record("GET", "/api/system-configuration", "systemConfiguration", CONFIGURATION)

    def integrations(self) -> Json:
        return self._record("GET", "/api/integration", "integrations", INTEGRATIONS)

    def create(self, path: str, name: str, given: Mapping[str, Any], shape: Json) -> Json:
        """Makes a record, and returns it as FusionAuth has it.

        Raises:
            FusionAuthError: FusionAuth refuses it, or does not answer with its id.
        """
        made = self._record("POST", path, name, shape, {name: given})
        if not made.get("id"):
            raise FusionAuthError(
                f"FusionAuth answers POST {path} without the id of what it made: look there for it before another run"
            )
        return made

    def search_event_log(
        self, *, start_ms: int, end_ms: int, start_row: int, rows: int, max_bytes: int = MAX_RESPONSE_BYTES
    ) -> tuple[int, list[Json]]:
        """Returns the number of all entries in a window, and a page of them, the oldest first.

        The window contains its start and not its end. A page may hold fewer rows than asked although more exist
        (FACTS §16).

        Raises:
            SearchTooBroad: the page is larger than `max_bytes`, or the search takes too long.
            PageUnreadable: FusionAuth fails at it, or answers something else than a page.
        """
        search = {"start": start_ms, "end": end_ms, "startRow": start_row, "numberOfResults": rows}
        body = {"search": {**search, "orderBy": "sequence ASC"}}
        answer = self._transport.answer("POST", SEARCH, body, max_bytes)
        if answer.status == httpx.codes.INTERNAL_SERVER_ERROR:
            raise PageUnreadable(f"FusionAuth answers 500 to POST {SEARCH}")
        found = self._object_of(answer, "POST", SEARCH)
        try:
            return _page(found)
        except ValueError as exc:
            log_id = _log_id_in(answer.content) if rows == 1 else ""
            raise PageUnreadable(self._odd(SEARCH, str(exc)), log_id) from None

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
        found = self._object_of(self._transport.answer(method, path, body, max_bytes), method, path)
        if found is None:
            raise FusionAuthError(self._odd(path, NO_OBJECT))
        return found

    def _object_of(self, response: Answer, method: str, path: str) -> Json | None:
        """Returns the object in an answer; None if it holds something else.

        Raises:
            FusionAuthError: FusionAuth refuses the request.
        """
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
        found = _parsed(response.content)
        return found if isinstance(found, dict) else None

    def _records(self, path: str, name: str, shape: Json) -> list[Json]:
        found = self.get(path).get(name)
        require_shape(found, [shape], f"{path} {name}")
        return [*(found or ())]

    def _record(self, method: str, path: str, name: str, shape: Json, body: Mapping[str, Any] | None = None) -> Json:
        found = self.send(method, path, body).get(name)
        require_shape(found, shape, f"{path} {name}")
        return found or {}

    def _odd(self, path: str, why: str) -> str:
        return f"{self.url}{path} does not answer as FusionAuth does: {why}"


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


def _page(found: Json | None) -> tuple[int, list[Json]]:
    """
    Raises:
        ValueError: the answer to a search is none. Its text says why.
    """
    if found is None:
        raise ValueError(NO_OBJECT)
    total, page = found.get("total"), found.get("webhookEventLogs", [])
    if not isinstance(total, int) or not isinstance(page, list):
        raise ValueError("it names no total")  # noqa: TRY004 - the caller catches one kind for every odd page
    if not all(isinstance(row, dict) and isinstance(row.get("id"), str) for row in page):
        raise ValueError("an entry of its log is no object with an id")
    return total, page


def _parsed(content: bytes) -> Any:
    """Returns what JSON says; None if it is none, is nested too deeply, or has a number that is too long."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _log_id_in(content: bytes) -> str:
    """Returns the id of the one entry of a page, however odd the entry is otherwise."""
    depth, before = 0, b""
    for token in _TOKEN.finditer(content):
        if token[0] in (b"{", b"["):
            depth += 1
        elif token[0] in (b"}", b"]"):
            depth -= 1
        elif depth == 3:  # noqa: PLR2004 - in the answer, in its list, in the entry
            if before == b"id" and _UUID.fullmatch(token[1]):
                return token[1].decode()
            before = token[1]
    return ""


def _codes(content: bytes) -> str:
    """Returns the codes of the errors in an answer, never their messages, which may quote what was sent."""
    found = _parsed(content)
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
