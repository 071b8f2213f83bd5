"""Fires events: sends them under the tenant's transaction setting, and logs every attempt (FACTS §3 to §5)."""

import base64
import json
import ssl
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from surehook.fusionauth.simulator.event_log import LogEntry
from surehook.fusionauth.simulator.http_client import Call, CallResponse, Fault, HttpClient
from surehook.fusionauth.simulator.instance import Instance
from surehook.fusionauth.simulator.records import Json
from surehook.fusionauth.transaction_setting import MOST_RESENDS, needed

MAX_WEBHOOKS_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request to one webhook, and what came back."""

    webhook_id: str
    url: str
    response: CallResponse
    fault: Fault | None
    started_at: int
    ended_at: int


@dataclass(frozen=True, slots=True)
class Fired:
    """An event that was fired, and whether its operation committed; without receivers nothing was sent."""

    event: Mapping[str, Any]
    setting: str
    commits: bool
    attempts: tuple[Attempt, ...]


FaultPlan = Callable[[Mapping[str, Any], Json], Fault | None]
Form = Callable[[Mapping[str, Any]], Mapping[str, Any]]


def _ignore(_attempt: Attempt, _event: Mapping[str, Any]) -> None:
    pass


def no_faults(_event: Mapping[str, Any], _webhook: Json) -> Fault | None:
    return None


def as_it_is(event: Mapping[str, Any]) -> Mapping[str, Any]:
    return event


@dataclass
class Deliverer:
    """Sends the events of an installation.

    `fault_of` decides for each attempt what goes wrong with it, `sent_as` for each event in which form it is sent.
    """

    instance: Instance
    fault_of: FaultPlan = no_faults
    sent_as: Form = as_it_is
    on_attempt: Callable[[Attempt, Mapping[str, Any]], None] = _ignore
    tls: ssl.SSLContext | None = None
    client: HttpClient = field(default_factory=HttpClient)

    def __post_init__(self) -> None:
        self._threads = ThreadPoolExecutor(MAX_WEBHOOKS_AT_ONCE, "simulated-webhook")

    def close(self) -> None:
        self._threads.shutdown()
        self.client.close()

    def fire(self, event: Mapping[str, Any]) -> Fired:
        """Sends an event to its webhooks, and decides whether the operation that it announces commits.

        Webhooks that failed although the setting was met get it again, up to three times and without a pause.
        """
        event_type, tenant_id = str(event["type"]), event.get("tenantId")
        receivers = self.instance.receivers(event_type, tenant_id)
        setting = self.instance.transaction_type(event_type, tenant_id)
        if not receivers:
            return Fired(event, setting, setting != "Any", ())
        sent = self.sent_as(event)
        body = {"event": dict(sent)}
        text = encode(body, keeps_nulls=sent is not event)
        entry = self._log(body, text)
        attempts = self._send_all(receivers, event, text, entry)
        commits = sum(each.response.is_success for each in attempts) >= needed(setting, len(receivers))
        if commits and setting != "None":
            attempts += self._send_again(receivers, event, text, entry, attempts)
        if entry is not None:
            self.instance.log.finish(entry, is_success=commits, now_ms=self.instance.now_ms())
        return Fired(event, setting, commits, tuple(attempts))

    def interrupt(self, event: Mapping[str, Any]) -> None:
        """Logs an event and sends nothing, as a FusionAuth that is stopped at that moment."""
        body = {"event": dict(event)}
        self._log(body, encode(body))

    def _log(self, body: dict[str, Any], text: bytes) -> LogEntry | None:
        if not self.instance.is_logging:
            return None
        entry_id = str(body["event"]["id"]) if self.instance.quirks.log_id_is_event_id else None
        return self.instance.log.add(body, text, now_ms=self.instance.now_ms(), entry_id=entry_id)

    def _send_all(
        self, webhooks: list[Json], event: Mapping[str, Any], text: bytes, entry: LogEntry | None
    ) -> list[Attempt]:
        if not self.instance.quirks.sends_in_parallel:
            return [self._send(webhook, event, text, entry) for webhook in webhooks]
        futures = [self._threads.submit(self._send, webhook, event, text, entry) for webhook in webhooks]
        return [future.result() for future in futures]

    def _send_again(
        self,
        webhooks: list[Json],
        event: Mapping[str, Any],
        text: bytes,
        entry: LogEntry | None,
        first: list[Attempt],
    ) -> list[Attempt]:
        failed = {each.webhook_id for each in first if not each.response.is_success}
        sent: list[Attempt] = []
        for _ in range(MOST_RESENDS):
            again = self._send_all([hook for hook in webhooks if hook["id"] in failed], event, text, entry)
            failed -= {each.webhook_id for each in again if each.response.is_success}
            sent += again
        return sent

    def _send(self, webhook: Json, event: Mapping[str, Any], text: bytes, entry: LogEntry | None) -> Attempt:
        fault = self.fault_of(event, webhook)
        started_at = self.instance.now_ms()
        response = self.client.post(self._call(webhook, text), fault)
        attempt = Attempt(webhook["id"], webhook["url"], response, fault, started_at, self.instance.now_ms())
        if entry is not None:
            self.instance.log.record(entry, self._logged(attempt))
        self.on_attempt(attempt, event)
        return attempt

    def _call(self, webhook: Json, text: bytes) -> Call:
        headers = {"Content-Type": "application/json", **webhook["headers"]}
        if username := webhook.get("httpAuthenticationUsername"):
            # A configured header of the same name in another case stays beside it: two lines (FACTS §16).
            pair = f"{username}:{webhook.get('httpAuthenticationPassword', '')}".encode()
            headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
        if key := self.instance.signing_key(webhook):
            name, token = key.signature_header(text, self.instance.quirks)
            headers[name] = token
        connect, read = webhook["connectTimeout"] / 1000, webhook["readTimeout"] / 1000
        return Call(webhook["url"], headers, text, connect, read, self.tls)

    def _logged(self, attempt: Attempt) -> Json:
        response = attempt.response
        exception = response.exception
        if self.instance.quirks.shows_receivers_exception and not exception:
            exception = _receivers_exception(response.body)
        call = {"statusCode": response.status, "url": attempt.url, "exception": exception}
        return {
            # Also for a status of -1, whose request may have arrived; "Unknown" has no response at all (FACTS §16).
            "attemptResult": "Success" if response.is_success else "Failure",
            "data": {},
            "endInstant": attempt.ended_at,
            "id": str(uuid4()),
            "startInstant": attempt.started_at,
            "webhookCallResponse": {name: value for name, value in call.items() if value != ""},
            "webhookId": attempt.webhook_id,
        }


def encode(body: Mapping[str, Any], *, keeps_nulls: bool = False) -> bytes:
    """Returns the bytes that FusionAuth would send: keys sorted, nulls left out (FACTS §16)."""
    shown = body if keeps_nulls else _without_nulls(body)
    return json.dumps(shown, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _without_nulls(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _without_nulls(each) for name, each in value.items() if each is not None}
    if isinstance(value, list | tuple):
        return [_without_nulls(each) for each in value]
    return value


def _receivers_exception(body: bytes) -> str:
    try:
        found = json.loads(body)
    except ValueError:
        return ""
    return str(found.get("exception") or "") if isinstance(found, dict) else ""
