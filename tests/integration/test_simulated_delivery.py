"""The simulated FusionAuth sends as FusionAuth's HTTP client does, under each transaction setting."""

import json
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from surehook.fusionauth.sample_parts import TENANT_ID
from surehook.fusionauth.simulator.delivery import Deliverer, Fired
from surehook.fusionauth.simulator.http_client import Fault
from surehook.fusionauth.simulator.instance import Instance
from surehook.fusionauth.simulator.quirks import USER_AGENT, Quirks
from tests.support.simulated_fusionauth import a_tenant, a_webhook, an_event, an_installation


class Receiver(ThreadingHTTPServer):
    """Answers with the statuses of its list, then with the last; records requests."""

    daemon_threads = True

    def __init__(self, *statuses: int, location: str = "") -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.statuses, self.location = list(statuses), location
        self.requests: list[tuple[str, str, dict[str, list[str]], bytes]] = []
        self.connections: set[Any] = set()
        self.url = f"http://127.0.0.1:{self.server_address[1]}/hook"
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def next_status(self) -> int:
        return self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]

    @property
    def bodies(self) -> list[Any]:
        return [json.loads(body) for method, _, _, body in self.requests if method == "POST"]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Receiver

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"] or 0)
        body = self.rfile.read(length)
        if len(body) < length:
            return
        self.server.connections.add(self.client_address)
        names = {name: self.headers.get_all(name) or [] for name in self.headers}
        self.server.requests.append((self.command, self.path, names, body))
        status = self.server.next_status()
        self.send_response(status)
        if status in (301, 302, 307):
            self.send_header("Location", self.server.location or "/moved")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        self.do_POST()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def receivers() -> Iterator[list[Receiver]]:
    opened: list[Receiver] = []
    yield opened
    for receiver in opened:
        receiver.shutdown()
        receiver.server_close()


def fire(
    receivers: list[Receiver],
    event: Mapping[str, Any] | None = None,
    *,
    setting: str = "None",
    instance: Instance | None = None,
    fault: Fault | None = None,
    webhook: Mapping[str, Any] | None = None,
) -> tuple[Fired, Instance]:
    instance = instance or an_installation()
    instance.save_tenant(a_tenant(setting), TENANT_ID)
    for receiver in receivers:
        instance.save_webhook(a_webhook(url=receiver.url, **webhook or {}))
    deliverer = Deliverer(instance, fault_of=lambda event, hook: fault)
    try:
        return deliverer.fire(event or an_event()), instance
    finally:
        deliverer.close()


def test_a_request_looks_like_that_of_fusionauths_client(receivers: list[Receiver]) -> None:
    receivers.append(Receiver(202))
    pair = {"httpAuthenticationUsername": "u", "httpAuthenticationPassword": "p"}

    fire(receivers, an_event() | {"null": None}, webhook={"headers": {"authorization": "a key"}, **pair})

    method, path, headers, body = receivers[0].requests[0]
    assert (method, path) == ("POST", "/hook")
    assert headers["User-Agent"] == [USER_AGENT]
    assert headers["Content-Type"] == ["application/json"]
    assert headers["Content-Length"] == [str(len(body))]
    assert sorted(headers["authorization"]) == ["Basic dTpw", "a key"]
    assert {"Transfer-Encoding", "Accept-Encoding", "Upgrade"}.isdisjoint(headers)
    assert b"null" not in body
    assert list(json.loads(body)["event"]) == sorted(json.loads(body)["event"])


@pytest.mark.parametrize(
    ("setting", "statuses", "commits", "sent"),
    [
        ("None", (500,), True, 1),
        ("Any", (500,), False, 1),
        ("AbsoluteMajority", (200,), True, 1),
        ("Any", (200, 500), True, 5),
        ("AbsoluteMajority", (200, 500), False, 2),
        ("SimpleMajority", (500, 202), True, 5),
        ("SuperMajority", (200, 200, 500), True, 6),
    ],
)
def test_an_operation_commits_and_sends_again_as_documented(
    setting: str, statuses: tuple[int, ...], commits: bool, sent: int, receivers: list[Receiver]
) -> None:
    receivers.extend(Receiver(status) for status in statuses)

    fired, instance = fire(receivers, setting=setting)

    assert (fired.commits, len(fired.attempts)) == (commits, sent)
    (entry,) = instance.log.search(_everything(instance))["webhookEventLogs"]
    assert entry["eventResult"] == ("Succeeded" if commits else "Failed")
    assert entry["failedAttempts"] + entry["successfulAttempts"] == sent


def _everything(instance: Instance) -> Any:
    from surehook.fusionauth.simulator.event_log import search_from_json

    return search_from_json({"start": 1}, now_ms=instance.now_ms(), version=instance.version)


@pytest.mark.parametrize(("status", "methods"), [(302, ["POST", "GET"]), (307, ["POST", "POST"])])
def test_a_redirect_turns_the_post_into_a_get_and_counts_as_delivered(
    status: int, methods: list[str], receivers: list[Receiver]
) -> None:
    receivers.append(Receiver(status, 200))

    fired, _ = fire(receivers)

    assert [method for method, *_ in receivers[0].requests] == methods
    assert fired.attempts[0].response.is_success


def test_a_redirect_to_https_is_not_followed_and_fails(receivers: list[Receiver]) -> None:
    receivers.append(Receiver(302, location="https://127.0.0.1/hook"))

    fired, _ = fire(receivers)

    assert fired.attempts[0].response.status == 302
    assert len(receivers[0].requests) == 1


@pytest.mark.parametrize(
    ("fault", "received", "status"),
    [
        (Fault.LOST_RESPONSE, 1, -1),
        (Fault.CUT_BODY, 0, -1),
        (Fault.SLOW_BODY, 1, 202),
        (Fault.SENT_TWICE, 2, 202),
        (Fault.NOT_SENT, 0, -1),
        (Fault.STALLED_BODY, 0, -1),
        (Fault.TRUNCATED_BODY, 1, 202),
    ],
)
def test_each_fault_is_logged_as_fusionauth_would(
    fault: Fault, received: int, status: int, receivers: list[Receiver]
) -> None:
    receivers.append(Receiver(202))
    read_timeout = 100 if fault is Fault.STALLED_BODY else 20_000  # only that delivery gets no answer

    fired, instance = fire(receivers, fault=fault, webhook={"readTimeout": read_timeout})

    (attempt,) = fired.attempts
    assert (len(receivers[0].requests), attempt.response.status) == (received, status)
    (entry,) = instance.log.search(_everything(instance))["webhookEventLogs"]
    shown = entry["attempts"][0]
    assert shown["attemptResult"] == ("Success" if status == 202 else "Failure")
    assert ("exception" in shown["webhookCallResponse"]) == (status == -1)
    assert entry["eventResult"] == "Succeeded"  # whatever the receiver answered: the setting is None


def test_connections_are_kept_and_a_closed_one_is_not_reported_as_our_status(receivers: list[Receiver]) -> None:
    receivers.append(Receiver(202))
    instance = an_installation()
    instance.save_webhook(a_webhook(url=receivers[0].url))
    deliverer = Deliverer(instance)

    for number in range(3):
        assert deliverer.fire(an_event(number)).attempts[0].response.status == 202

    assert len(receivers[0].connections) == 1
    deliverer.close()


def test_an_event_needs_all_three_switches(receivers: list[Receiver]) -> None:
    receivers.append(Receiver(202))
    sends = {
        "on everywhere": fire(receivers)[0],
        "another tenant": fire(receivers, an_event(tenant="44444444-0000-4000-8000-000000000000"))[0],
        "off at the webhook": fire(receivers, webhook={"eventsEnabled": {"user.create": False}})[0],
        "not bound": fire(receivers, webhook={"global": False})[0],
        "bound": fire(receivers, webhook={"global": False, "tenantIds": [TENANT_ID]})[0],
        "of the instance": fire(receivers, an_event(event_type="event-log.create", tenant=None))[0],
    }

    assert [name for name, fired in sends.items() if fired.attempts] == ["on everywhere", "bound", "of the instance"]


def test_a_log_that_is_off_records_nothing(receivers: list[Receiver]) -> None:
    receivers.append(Receiver(202))

    _, instance = fire(receivers, instance=an_installation(quirks=Quirks(is_log_enabled=False)))

    assert instance.log.search(_everything(instance)) == {"total": 0, "webhookEventLogs": []}
