"""Sends events as FusionAuth's HTTP client does, and notes each exchange."""

import ssl
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from surehook.fusionauth.conformance.case import Need
from surehook.fusionauth.conformance.credentials import Credentials
from surehook.fusionauth.conformance.exchange import LONGEST_EXCERPT, Exchange
from surehook.fusionauth.conformance.published_keys import PublishedKeys
from surehook.fusionauth.samples import sample
from surehook.fusionauth.simulator.delivery import encode
from surehook.fusionauth.simulator.http_client import Call, CallResponse, Fault, HttpClient
from surehook.shared.visible import visible_line

# The ids of all events of a run begin with it, so that they can be found, and erased.
ID_PREFIX = "c0f0a11e"
DEFAULT_TYPE = "user.update"
THREADS = 8


@dataclass
class Probe:
    """The receiver, how to send to it, and what was sent so far. The timeouts are in seconds."""

    url: str
    credentials: Credentials
    connect_timeout: float = 1.0
    read_timeout: float = 2.0
    largest_import: int = 10_000
    tls: ssl.SSLContext | None = None
    keys: PublishedKeys | None = None
    exchanges: list[Exchange] = field(default_factory=list)
    client: HttpClient = field(default_factory=HttpClient)

    def can(self, need: Need) -> bool:
        return self.keys is not None if need is Need.JWKS else self.credentials.has(need)

    def event(self, event_type: str = DEFAULT_TYPE, **changes: Any) -> dict[str, Any]:
        """Returns a sample event with an id of this run. A change to None leaves the field out."""
        known = sample(event_type, now=datetime.now(UTC), event_id=new_id())["event"]
        return {**known, **changes}

    def send(
        self,
        event: Mapping[str, Any] | None = None,
        remark: str = "",
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        credentials: Credentials | None = None,
        fault: Fault | None = None,
        url: str = "",
    ) -> Exchange:
        """Sends an event, or a body of another kind, with the receiver's credentials unless others are given."""
        event = self.event() if event is None and body is None else event or {}
        body = encode({"event": event}) if body is None else body
        headers = (credentials or self.credentials).for_body(body) if headers is None else headers
        call = replace(self.call(body, headers), url=url or self.url)
        return self.note(event, remark, len(body), lambda: self.client.post(call, fault))

    def call(self, body: bytes, headers: Mapping[str, str]) -> Call:
        return Call(self.url, headers, body, self.connect_timeout, self.read_timeout, self.tls)

    def note(
        self,
        event: Mapping[str, Any],
        remark: str,
        size: int,
        post: Callable[[], CallResponse],
        *,
        method: str = "POST",
        paused: float = 0.0,
    ) -> Exchange:
        """Sends with a function, and notes what came back; `paused` are the seconds that we took for sending."""
        event_type = str(event.get("type") or "")
        what = " ".join(filter(None, (event_type, f"({remark})" if event_type and remark else remark)))
        started_at = time.monotonic()
        response = post()
        seconds = max(0.0, time.monotonic() - started_at - paused)
        excerpt = self.credentials.masked(response.body[: 2 * LONGEST_EXCERPT].decode("utf-8", "replace"))
        found = Exchange(
            f"{method} {what}, {size:,} bytes",
            event_type,
            str(event.get("id") or ""),
            response,
            seconds,
            visible_line(excerpt[:LONGEST_EXCERPT].strip()),
        )
        self.exchanges.append(found)
        return found

    def send_at_once(self, events: list[dict[str, Any]], remark: str) -> list[Exchange]:
        """Sends events over several connections at the same time."""
        alone = [replace(self, client=HttpClient()) for _ in events]  # they share the list of exchanges

        def send(pair: tuple[Probe, dict[str, Any]]) -> Exchange:
            probe, event = pair
            try:
                return probe.send(event, remark)
            finally:
                probe.client.close()

        with ThreadPoolExecutor(THREADS, "conformance") as threads:
            return list(threads.map(send, zip(alone, events, strict=True)))


def new_id() -> UUID:
    """Returns an id that is this command's by its beginning."""
    return UUID(ID_PREFIX + uuid4().hex[len(ID_PREFIX) :])
