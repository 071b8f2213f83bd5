"""The ingest process: uvicorn with the app, and the metrics on an address of their own."""

import asyncio
import logging
import signal
import socket
from typing import Any

import uvicorn
from prometheus_client import disable_created_metrics
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ingest import answers
from ingest.app import create_app
from ingest.body import BODY_SECONDS
from ingest.metrics import DoorMetrics
from ingest.tls import tls_options
from shared.errors import Misconfigured
from shared.gauges import StoreGauges
from shared.metrics_server import serve_metrics
from shared.settings import Settings, host_and_port

log = logging.getLogger(__name__)

HEADERS_SECONDS = 10.0
ANSWER_SECONDS = 1.0
HEADERS_BYTES = 64 * 1024
KEEP_ALIVE_SECONDS = 75
BACKLOG = 2048


class DoorProtocol(HttpToolsProtocol):
    """uvicorn waits for ever for a request's bytes, and takes any number of headers; we do neither."""

    _hurry: asyncio.TimerHandle | None = None
    _is_in_headers = True
    _header_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait_for_headers()

    def data_received(self, data: bytes) -> None:
        if self._hurry is None:  # the first bytes of another request, or blank lines before it
            self._wait_for_headers()
        self._header_bytes += len(data)
        super().data_received(data)
        # Judged after it was read: the last of the headers may come together with a large body.
        if self._is_in_headers and self._header_bytes > HEADERS_BYTES:
            self.transport.close()

    def on_headers_complete(self) -> None:
        self._is_in_headers = False
        # The door answers a slow sender; this is for bodies that nobody reads, and for whoever ignores the answer.
        self._close_after(BODY_SECONDS + ANSWER_SECONDS)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._stop_waiting()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - the name is uvicorn's
        """What is no HTTP never reaches the app; its answer looks like all others all the same."""
        answer = answers.NOT_HTTP
        headers = (
            *answer.headers,
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(answer.body)),
        )
        lines = [b"HTTP/1.1 400 Bad Request", *(name + b": " + value for name, value in headers), b"", answer.body]
        self.transport.write(b"\r\n".join(lines))
        self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait_for_headers(self) -> None:
        self._is_in_headers = True
        self._header_bytes = 0
        self._close_after(HEADERS_SECONDS)

    def _close_after(self, seconds: float) -> None:
        self._stop_waiting()
        self._hurry = self.loop.call_later(seconds, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._hurry is not None:
            self._hurry.cancel()
            self._hurry = None


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; requests under way are answered first.

    Raises:
        Misconfigured: no proof is configured, a key or certificate is none, or an address is taken.
    """
    disable_created_metrics()  # type: ignore[no-untyped-call] # a second series for every counter, and the workers' have none
    metrics = DoorMetrics()
    app = create_app(settings, metrics)
    listener = _listen(settings.bind)
    metrics.registry.register(StoreGauges(settings))
    serve_metrics(settings.metrics_bind, metrics.registry)
    config = uvicorn.Config(
        app,
        http=DoorProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=int(settings.grace),
        backlog=BACKLOG,
        **tls_options(settings),
    )
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).setLevel(logging.WARNING)
    if settings.durability == "memory":
        log.warning("DURABILITY=memory: events are lost when the store stops; this is for tests")
    log.info("ingest listens", extra={"address": f"{settings.bind}{settings.webhook_path}"})
    # uvicorn raises the signal that stopped it once more when it is done: a clean stop is exit status 0.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stopped)
    uvicorn.Server(config).run(sockets=[listener])


def _listen(address: str) -> socket.socket:
    host, port = host_and_port(address)
    try:
        listener = socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=BACKLOG
        )
    except OSError as exc:
        raise Misconfigured(f"SUREHOOK_BIND={address}: {exc.strerror or exc}") from exc
    listener.setblocking(False)
    return listener


def _stopped(_: int, __: Any) -> None: ...
