"""When traces are exported, and what happens if they cannot be."""

import logging
import subprocess
import sys

import pytest

from surehook.shared import tracing
from surehook.shared.otel import accept_span, sender_span, traceparent_of

EVENT_ID = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER", *tracing.ENDPOINTS):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"},
        {"OTEL_SDK_DISABLED": "TRUE", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
    ],
)
def test_nothing_of_opentelemetry_is_imported_unless_traces_are_asked_for(environ: dict[str, str]) -> None:
    code = (
        "import sys; from surehook.shared.tracing import open_traces; assert open_traces('it') is None;"
        "assert not any(name.startswith('opentelemetry') for name in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], env=environ, check=True)


@pytest.mark.parametrize(
    ("environ", "reason"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "no exporter zipkin is installed"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "carrier-pigeon"}, "no exporter carrier-pigeon is installed"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "no exporter otlp_proto_grpc is installed"),
    ],
)
def test_an_exporter_that_is_not_there_is_named(
    environ: dict[str, str], reason: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name, value in {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", **environ}.items():
        monkeypatch.setenv(name, value)
    with caplog.at_level(logging.WARNING):
        assert tracing.open_traces("it") is None
    [record] = caplog.records
    assert record.getMessage() == "traces not exported"
    assert vars(record)["reason"].startswith(reason)


def test_without_the_extra_the_log_names_it(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setitem(sys.modules, "surehook.shared.otel", None)
    with caplog.at_level(logging.WARNING):
        assert tracing.open_traces("it") is None
    assert "install surehook[otel]" in vars(caplog.records[0])["reason"]


def test_the_accept_spans_trace_is_the_event_or_the_senders() -> None:
    assert f"{accept_span(EVENT_ID).trace_id:032x}" == EVENT_ID.replace("-", "")
    assert f"{accept_span(EVENT_ID, TRACEPARENT).trace_id:032x}" == TRACEPARENT.split("-")[1]
    assert accept_span(EVENT_ID).span_id == accept_span(EVENT_ID, TRACEPARENT).span_id
    assert accept_span(EVENT_ID).trace_flags.sampled
    assert not accept_span(EVENT_ID, TRACEPARENT).trace_flags.sampled
    assert accept_span("00000000-0000-0000-0000-000000000000").is_valid


@pytest.mark.parametrize(
    "header",
    [
        "",
        "00",
        TRACEPARENT.replace("4bf9", "4BF9x"),
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        "ff" + TRACEPARENT[2:],
        "x" * 70_000,
    ],
)
def test_a_malformed_header_begins_no_trace(header: str) -> None:
    assert sender_span(header) is None


def test_a_valid_header_is_read() -> None:
    span = sender_span(TRACEPARENT)
    assert span is not None
    assert traceparent_of(span) == TRACEPARENT
