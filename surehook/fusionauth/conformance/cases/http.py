"""How requests travel: FusionAuth's HTTP client, and what proxies and networks do to its requests."""

import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from surehook.fusionauth.conformance.case import RESTIFY, SECURING, WEBHOOK_API, WEBHOOKS, WRITING, Cases, Level
from surehook.fusionauth.conformance.exchange import Exchange
from surehook.fusionauth.conformance.judgement import Judgement
from surehook.fusionauth.conformance.probe import Probe
from surehook.fusionauth.conformance.wire import Wire, chunks
from surehook.fusionauth.simulator.delivery import encode
from surehook.fusionauth.simulator.http_client import Call, Fault
from surehook.shared.auth_settings import LOOPBACK

CASES = Cases()
PIECE_BYTES = 256
SLOW_PAUSE_SECONDS = 0.05
# Java keeps an idle connection that long, unless the server names a time.
JAVA_SECONDS = 5.0
IDLE_SECONDS = 4.0


@CASES.accepts("http.client", "FusionAuth's client sends the headers of Java's HttpURLConnection.", "§16", RESTIFY)
def client(probe: Probe) -> Sequence[Exchange]:
    return [probe.send(remark="as FusionAuth's client")]


@CASES.accepts("http.no-redirect", "A redirect turns the POST into a GET without the event.", "§16", RESTIFY)
def no_redirect(probe: Probe) -> Sequence[Exchange]:
    return [probe.send(remark="to the URL as given")]


@CASES.accepts("http.keep-alive", "Several events come over one connection.", "§16", RESTIFY)
def keep_alive(probe: Probe) -> Sequence[Exchange]:
    return [probe.send(remark=f"request {number} of a connection") for number in range(1, 9)]


@CASES.accepts("http.idle", "A connection is used again after it was idle.", "§16", RESTIFY)
def idle(probe: Probe) -> Sequence[Exchange]:
    first, second = probe.event(), probe.event()
    with _wire(probe, first) as wire:
        before = _over(probe, wire, first, "before the pause", [wire.whole()])
        named = [int(digits) for digits in [wire.keep_alive.partition("timeout=")[2].split(",")[0]] if digits.isdigit()]
        if named and named[0] <= IDLE_SECONDS:
            return [before]  # Java closes it by then itself
        paused_at = time.monotonic()
        time.sleep(IDLE_SECONDS)
        if time.monotonic() - paused_at >= JAVA_SECONDS:
            wire.close()  # so has Java, by then
        wire.use(_call(probe, second))
        return [before, _over(probe, wire, second, "after 4 s", [wire.whole()])]


@CASES.accepts("http.query", "A webhook's URL may have a query string.", "§9", WEBHOOK_API)
def query(probe: Probe) -> Sequence[Exchange]:
    mark = "&" if urlsplit(probe.url).query else "?"
    return [probe.send(remark="with a query string", url=f"{probe.url}{mark}from=fusionauth&n=1")]


@CASES.accepts("http.header-case", "Proxies change the case of header names.", "§16", WEBHOOKS)
def header_case(probe: Probe) -> Sequence[Exchange]:
    exchanges = []
    for change, name in ((str.lower, "lower"), (str.upper, "upper")):
        event = probe.event()
        headers = probe.credentials.for_body(encode({"event": event}))
        changed = {change(header): value for header, value in headers.items()}
        exchanges.append(probe.send(event, f"header names in {name} case", headers=changed))
    return exchanges


@CASES.accepts("http.more-headers", "Proxies add headers of their own.", "§1", SECURING)
def more_headers(probe: Probe) -> Sequence[Exchange]:
    event = probe.event()
    forwarded = {"X-Forwarded-For": "203.0.113.7, 10.0.0.2", "X-Forwarded-Proto": "https", "Forwarded": "for=_x"}
    traced = {"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01", "X-Request-Id": "conformance"}
    headers = probe.credentials.for_body(encode({"event": event}))
    return [probe.send(event, "through proxies", headers=headers | forwarded | traced)]


@CASES.accepts("http.split", "The head and the body arrive apart.", "§1", WRITING)
def split(probe: Probe) -> Sequence[Exchange]:
    event = probe.event()
    with _wire(probe, event) as wire:
        body = encode({"event": event})
        pieces = [wire.head(framing=f"Content-Length: {len(body)}"), body]
        return [_over(probe, wire, event, "in two pieces", pieces, pause=SLOW_PAUSE_SECONDS)]


@CASES.accepts("http.slow", "A slow network delivers the request in pieces.", "§16", RESTIFY)
def slow(probe: Probe) -> Sequence[Exchange]:
    event = probe.event()
    with _wire(probe, event) as wire:
        whole = wire.whole()
        pieces = [whole[start : start + PIECE_BYTES] for start in range(0, len(whole), PIECE_BYTES)]
        return [_over(probe, wire, event, "in slow pieces", pieces, pause=SLOW_PAUSE_SECONDS)]


@CASES.accepts(
    "http.chunked", "FusionAuth names a body's length; proxies may send it chunked.", "§16", RESTIFY, level=Level.ODD
)
def chunked(probe: Probe) -> Sequence[Exchange]:
    event = probe.event()
    with _wire(probe, event) as wire:
        pieces = [wire.head(framing="Transfer-Encoding: chunked"), chunks(encode({"event": event}))]
        return [_over(probe, wire, event, "chunked", pieces)]


@CASES.accepts("http.cut", "A connection breaks in the middle of a body; the next event comes whole.", "§10", WRITING)
def cut(probe: Probe) -> Sequence[Exchange]:
    probe.send(remark="cut off", fault=Fault.CUT_BODY)
    return [probe.send(remark="after one that was cut off")]


@CASES.accepts(
    "http.lost-answer", "The answer gets lost: FusionAuth logs a failure and may send it again.", "§5, §16", WRITING
)
def lost_answer(probe: Probe) -> Sequence[Exchange]:
    event = probe.event("user.create")
    probe.send(event, "its answer gets lost", fault=Fault.LOST_RESPONSE)
    return [probe.send(event, "sent again after a lost answer")]


@CASES.refuses("http.get", "After a redirect a GET comes, without an event.", "§16", RESTIFY, level=Level.ODD)
def get(probe: Probe) -> Sequence[Exchange]:
    return [_bodiless(probe, "GET")]


@CASES.refuses(
    "http.head", "Monitoring probes send HEAD; a success says nothing of POST.", "§3", WRITING, level=Level.ODD
)
def head(probe: Probe) -> Sequence[Exchange]:
    return [_bodiless(probe, "HEAD")]


@CASES.refuses(
    "http.misspelt", "A misspelt URL must be noticed: any 2xx counts as delivered.", "§3", WRITING, level=Level.ODD
)
def misspelt(probe: Probe) -> Sequence[Exchange]:
    parts = urlsplit(probe.url)
    return [probe.send(remark="to a misspelt path", url=parts._replace(path=f"{parts.path}-misspelt").geturl())]


@CASES.accepts("http.tls", "The docs ask for TLS 1.2 or newer on the way.", "§1", SECURING)
def tls(probe: Probe) -> Sequence[Exchange] | Judgement:
    parts = urlsplit(probe.url)
    if parts.scheme != "https" and parts.hostname not in LOOPBACK:
        return Judgement(Level.ODD, "The URL is not https: bodies and secrets travel in clear.")
    return [probe.send(remark="over this URL")]


def _call(probe: Probe, event: Mapping[str, Any]) -> Call:
    body = encode({"event": event})
    return probe.call(body, probe.credentials.for_body(body))


def _wire(probe: Probe, event: Mapping[str, Any]) -> Wire:
    return Wire(_call(probe, event))


def _over(
    probe: Probe, wire: Wire, event: Mapping[str, Any], remark: str, pieces: Sequence[bytes], *, pause: float = 0.0
) -> Exchange:
    paused = pause * (len(pieces) - 1)
    return probe.note(event, remark, len(wire.call.body), lambda: wire.exchange(pieces, pause=pause), paused=paused)


def _bodiless(probe: Probe, method: str) -> Exchange:
    with Wire(probe.call(b"", probe.credentials.for_body(b""))) as wire:
        return probe.note(
            {}, "without a body", 0, lambda: wire.exchange([wire.head(method)], method=method), method=method
        )
