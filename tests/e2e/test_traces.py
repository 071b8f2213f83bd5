"""Traces of endpoint and workers, as a collector receives them."""

from collections.abc import Callable, Iterator
from functools import partial
from uuid import UUID

import pytest

from harness.events import a_body, an_event
from harness.stack import API_KEY, Stack, wait_until
from surehook.shared.otel import span_id_of
from tests.support.raw_http import status_of, talk
from tests.support.socket_endpoint import a_post
from tests.support.trace_collector import Collector, trace_collector

Build = Callable[..., Stack]
PERSONAL = "jane.doe@example.com"
SENDER_TRACE, SENDER_SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{SENDER_TRACE}-{SENDER_SPAN}-01"
HANDLERS = """
from opentelemetry import trace

@on("user.delete", name="mirror", retries=1, backoff=[0.1])
def mirror(event):
    private = {"record_exception": False, "set_status_on_exception": False}
    with trace.get_tracer("myapp").start_as_current_span("write", **private):
        first = not os.path.exists("failed")
        open("failed", "w").close()
        if first:
            raise ValueError("no row for " + str(event.user.email))

@on("user.create", name="check", transactional=True)
async def check(event):
    effect("checked", event.id)
"""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with trace_collector() as running:
        yield running


def deliver(stack: Stack, event: dict[str, object], traceparent: str) -> int:
    headers = {"Authorization": API_KEY, "Content-Type": "application/json", "traceparent": traceparent}
    return stack.client.post(stack.url, content=a_body(event), headers=headers).status_code


def id_of_span(event_id: str) -> str:
    return f"{span_id_of(event_id):016x}"


def test_runs_refer_to_the_accept_span_and_nothing_personal_is_exported(
    build_stack: Build, collector: Collector
) -> None:
    stack = build_stack(HANDLERS)
    exports = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}
    settings = {"SUREHOOK_TRANSACTIONAL_EVENTS": "user.create", **exports}
    stack.start_ingest(**settings)
    stack.start_worker(**settings)
    user = {"id": an_event("user.delete")["user"]["id"], "email": PERSONAL}
    plain, continued = an_event("user.delete", user=user), an_event("user.delete", user=user)
    in_pieces, in_one, malformed = *(an_event("user.create", user=user) for _ in range(2)), an_event("group.delete")

    assert stack.deliver(plain).status_code == 202
    wait_until(lambda: len(collector.named("run mirror", plain["id"])) == 2, "both runs are exported")
    wait_until(lambda: stack.deliver(an_event("user.create", user=user)).status_code == 200, "a worker lives")
    assert deliver(stack, continued, TRACEPARENT) == 202
    assert deliver(stack, plain, TRACEPARENT) == 200
    assert deliver(stack, malformed, "00-" + "0" * 32 + "-" + "x" * 16 + "-01") == 202
    assert deliver(stack, in_pieces, TRACEPARENT) == 200
    assert status_of(talk(stack.port, a_post(in_one, f"traceparent: {TRACEPARENT}", "Connection: close"))) == 200
    wait_until(lambda: collector.named("run mirror", continued["id"]), "its run is exported")
    for decided in (in_pieces, in_one):  # through ASGI, and on the fast path
        for name in ("run check", "accept event"):
            wait_until(partial(collector.named, name, decided["id"]), f"{name} is exported")
    wait_until(lambda: collector.named("accept event", malformed["id"]))

    accepted, repeated = collector.named("accept event", plain["id"])
    assert (accepted.service, accepted.trace_id) == ("surehook-ingest", UUID(plain["id"]).hex)
    assert (accepted.span_id, accepted.parent_id) == (id_of_span(plain["id"]), "")
    assert accepted.attributes["surehook.outcome"] == "stored"
    assert 0 < accepted.seconds < 30
    failed, done = sorted(
        collector.named("run mirror", plain["id"]), key=lambda each: each.attributes["surehook.attempt"]
    )
    assert (failed.is_error, failed.attributes["error.type"], done.is_error) == (True, "ValueError", False)
    for run in (failed, done):
        assert (run.service, run.parent_id) == ("surehook-worker", "")
        assert run.links == ((accepted.trace_id, accepted.span_id),)
    assert len({accepted.trace_id, failed.trace_id, done.trace_id}) == 3
    assert {(each.trace_id, each.parent_id) for each in collector.spans if each.name == "write"} >= {
        (failed.trace_id, failed.span_id),
        (done.trace_id, done.span_id),
    }

    assert repeated.attributes["surehook.outcome"] == "duplicate"
    assert (repeated.trace_id, repeated.parent_id) == (SENDER_TRACE, SENDER_SPAN)
    assert repeated.span_id != accepted.span_id

    [accepted] = collector.named("accept event", malformed["id"])
    assert (accepted.trace_id, accepted.parent_id) == (UUID(malformed["id"]).hex, "")

    [accepted] = collector.named("accept event", continued["id"])
    assert (accepted.trace_id, accepted.parent_id) == (SENDER_TRACE, SENDER_SPAN)
    [run] = collector.named("run mirror", continued["id"])
    assert run.links == ((SENDER_TRACE, accepted.span_id),)
    assert run.trace_id != SENDER_TRACE

    for decided in (in_pieces, in_one):
        [accepted] = collector.named("accept event", decided["id"])
        assert (accepted.trace_id, accepted.parent_id) == (SENDER_TRACE, SENDER_SPAN)
        assert accepted.attributes["surehook.outcome"] == "200"
        [run] = collector.named("run check", decided["id"])
        assert (run.trace_id, run.parent_id) == (SENDER_TRACE, accepted.span_id)
    assert PERSONAL.encode() not in collector.received


def test_a_collector_that_is_away_costs_no_event_and_a_wrong_exporter_is_named(build_stack: Build) -> None:
    stack = build_stack()
    process = stack.start_ingest(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1", OTEL_BSP_SCHEDULE_DELAY="100")
    assert stack.deliver().status_code == 202
    process.terminate()
    assert process.wait(30) == 0

    stack.start_ingest(OTEL_TRACES_EXPORTER="zipkin")
    assert stack.deliver().status_code == 202
    assert "no exporter zipkin is installed" in stack.logged()
