"""Reaches the endpoint over HTTP as FusionAuth would: redirects, proxies that cut or change bodies, certificates."""

import ssl
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import httpx

from surehook.fusionauth.doctor.findings import Finding, fine, loses, odd
from surehook.fusionauth.doctor.settings import expiry
from surehook.fusionauth.own_endpoint import tls_trust
from surehook.fusionauth.sender import Sender
from surehook.ingest import responses
from surehook.shared.envelope import parse_envelope
from surehook.shared.errors import MalformedBody, Misconfigured
from surehook.shared.settings import Settings

TIMEOUT = httpx.Timeout(10.0, connect=5.0)
SLOW_SECONDS = 1.0
SMALL_BYTES = 2048
PROXY = "the reverse proxy's configuration"
REDIRECTS_LOSE = (
    "FusionAuth follows with a GET that carries no event, and takes a 200 as delivered; a redirect to another scheme "
    "counts as failed."
)


def shown_url(url: str) -> str:
    """Returns a URL without a login and without its query, which may hold a secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def endpoint_findings(settings: Settings, url: str, now: datetime, *, is_own: bool) -> Iterator[Finding]:
    """Sends requests that store nothing: one without credentials, and malformed ones with ours."""
    with httpx.Client(timeout=TIMEOUT, verify=tls_trust(settings, is_own=is_own), trust_env=not is_own) as client:
        started_at = time.monotonic()
        try:
            with client.stream("POST", url, content=b"{}", headers={"Content-Type": "application/json"}) as response:
                certificate = list(_certificate(response, now))  # a server that closes takes it along
                response.read()
        except (httpx.TransportError, httpx.InvalidURL) as exc:
            yield _unreachable(url, exc, is_own=is_own)
            return
        seconds = time.monotonic() - started_at
        if response.is_redirect:
            yield _redirect(url, response)
            return
        yield from certificate
        if not is_own and settings.tls_cert is not None:
            yield from _authority(url)
        if not _is_ours(response, settings):
            yield _another_server(url, response)
            return
        yield from speed_findings(url, seconds)
        yield fine("endpoint", f"{shown_url(url)} answers, and without credentials it refuses.")
        yield from _bodies(client, settings, url)


def speed_findings(url: str, seconds: float) -> Iterator[Finding]:
    if seconds > SLOW_SECONDS:
        means = "FusionAuth's documented timeouts are 1 s to connect and 2 s to read."
        yield odd("slow", f"{shown_url(url)} took {seconds:.1f} s for a response.", means, PROXY)


def _is_ours(response: httpx.Response, settings: Settings) -> bool:
    expected = responses.NOT_AUTHORIZED if settings.requires_authentication else _malformed(b"{}")
    return (response.status_code, response.content) == (expected.status, expected.body)


def _unreachable(url: str, exc: Exception, *, is_own: bool) -> Finding:
    where = shown_url(url)
    if isinstance(exc.__cause__, Exception) and _is_tls(exc):
        return loses(
            "certificate",
            f"The certificate of {where} is not trusted: {_tls_reason(exc)}.",
            "FusionAuth refuses it too, unless its Java trust store or the webhook has the authority.",
            "SUREHOOK_TLS_CERT or the proxy's certificate: with all intermediate certificates, for this host name",
        )
    if is_own:
        means = "No event is taken."
        return loses("endpoint", f"{where} does not answer ({type(exc).__name__}).", means, "start `surehook ingest`")
    return odd(
        "endpoint",
        f"{where} cannot be reached from this machine ({type(exc).__name__}).",
        "Whether FusionAuth reaches it, only its event log tells.",
        "run `surehook doctor` where FusionAuth runs, or see the findings of the event log",
    )


def _redirect(url: str, response: httpx.Response) -> Finding:
    target = shown_url(str(response.url.join(response.headers.get("location", ""))))
    return loses(
        "redirect",
        f"{shown_url(url)} redirects to {target} ({response.status_code}).",
        REDIRECTS_LOSE,
        f"FusionAuth: Settings > Webhooks > Edit: URL, or {PROXY}",
    )


def _another_server(url: str, response: httpx.Response) -> Finding:
    if response.content == responses.NOT_FOUND.body:
        means = "Every event sent there is refused and lost."
        return loses(
            "endpoint",
            f"{shown_url(url)} answers 404: the path is another.",
            means,
            "SUREHOOK_WEBHOOK_PATH, or the URL",
        )
    return loses(
        "endpoint",
        f"{shown_url(url)} answers {response.status_code}, and not as this endpoint would.",
        "Another server or a proxy answers there, or the running endpoint has other settings than this command.",
        f"SUREHOOK_BIND, SUREHOOK_WEBHOOK_PATH, or {PROXY}",
    )


def _bodies(client: httpx.Client, settings: Settings, url: str) -> Iterator[Finding]:
    """Sends bodies that are no events, so that the answer tells whether they arrived whole."""
    try:
        sender = Sender(settings)
    except Misconfigured:  # only FusionAuth can sign
        sender = None
    for size in (SMALL_BYTES, settings.max_body_bytes):
        body = _probe(size)
        headers: Any = {"Content-Type": "application/json"} if sender is None else sender.headers(body)
        expected = responses.NOT_AUTHORIZED if sender is None else _malformed(body)
        try:
            response = client.post(url, content=body, headers=headers)
        except httpx.TransportError as exc:
            yield _lost_body(url, size, f"gets no response ({type(exc).__name__})")
            return
        if (response.status_code, response.content) == (expected.status, expected.body):
            continue
        yield _changed_body(url, size, response)
        return
    if sender is None:
        yield fine("bodies", "Whether bodies arrive unchanged was not checked: only FusionAuth can sign them.")
    elif settings.is_signed:
        yield fine("bodies", f"Signed bodies of up to {settings.max_body_bytes:,} bytes arrive unchanged.")
    else:
        yield fine("bodies", f"Bodies of up to {settings.max_body_bytes:,} bytes arrive whole.")


def _changed_body(url: str, size: int, response: httpx.Response) -> Finding:
    if response.content == responses.NOT_AUTHORIZED.body:
        return loses(
            "credentials",
            f"{shown_url(url)} refuses our own credentials.",
            "FusionAuth's would be refused too: a proxy removes a header or changes signed bodies, or the running "
            "endpoint has other keys than this command.",
            f"{PROXY}, or restart the endpoint with these settings",
        )
    return _lost_body(url, size, f"is answered {response.status_code}")


def _lost_body(url: str, size: int, how: str) -> Finding:
    return loses(
        "bodies",
        f"A body of {size:,} bytes at {shown_url(url)} {how}.",
        "The endpoint would take it, so something in front of it cuts or refuses bodies: such events are lost.",
        f"{PROXY} (nginx: client_max_body_size), or a smaller SUREHOOK_MAX_BODY_BYTES",
    )


def _probe(size: int) -> bytes:
    """Returns JSON of this size that is no event, and no JSON if its end is cut off."""
    frame = b'{"event":{},"padding":"%b"}'
    return frame % (b"x" * (size - len(frame) + 2))


def _malformed(body: bytes) -> responses.Response:
    try:
        parse_envelope(body)
    except MalformedBody as exc:
        return responses.malformed(str(exc))
    raise AssertionError("a probe is never an event")


def _authority(url: str) -> Iterator[Finding]:
    """Notices a certificate that only our own settings make us trust: FusionAuth has its own list of authorities."""
    try:
        httpx.head(url, timeout=TIMEOUT)
    except (httpx.TransportError, httpx.InvalidURL) as exc:
        if _is_tls(exc):
            yield odd(
                "certificate-authority",
                f"The certificate of {shown_url(url)} is of no authority that machines know ({_tls_reason(exc)}).",
                "FusionAuth refuses it, unless its Java trust store or the webhook has that authority.",
                "SUREHOOK_TLS_CERT: one of a public authority; or the webhook's certificate at FusionAuth",
            )


def _certificate(response: httpx.Response, now: datetime) -> Iterator[Finding]:
    stream = response.extensions.get("network_stream")
    tls = stream.get_extra_info("ssl_object") if stream is not None else None
    if tls is None:
        return
    with suppress(KeyError, ValueError):
        ends = ssl.cert_time_to_seconds(tls.getpeercert()["notAfter"])
        yield expiry(datetime.fromtimestamp(ends, UTC), now, "the certificate of that address")


def _is_tls(exc: BaseException | None) -> bool:
    return _cause(exc) is not None


def _tls_reason(exc: BaseException) -> str:
    found = _cause(exc)
    return getattr(found, "verify_message", "") or getattr(found, "reason", "") or "the TLS handshake fails"


def _cause(exc: BaseException | None) -> ssl.SSLError | None:
    while exc is not None:
        if isinstance(exc, ssl.SSLError):
            return exc
        exc = exc.__cause__ or exc.__context__
    return None
