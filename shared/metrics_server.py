"""The HTTP server for Prometheus metrics and worker readiness, on its own address."""

import json
import logging
import socket
import threading
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

from surehook.shared.settings import host_and_port

log = logging.getLogger(__name__)

READY_PATH = "/readyz"


def serve_metrics(
    address: str, registry: CollectorRegistry, why_not_ready: Callable[[], list[str]] | None = None
) -> None:
    """Serves in a thread. An address in use (a second worker on this machine) is logged as a warning.

    Args:
        address: host:port, or off.
        registry: what to show.
        why_not_ready: the reasons for /readyz to answer 503; none means 200.
    """
    if address == "off":
        return
    host, port = host_and_port(address)
    app = make_wsgi_app(registry)
    if why_not_ready is not None:
        app = _with_readiness(app, why_not_ready)
    try:
        server = make_server(host, port, app, _server_for(host), _Quiet)
    except OSError as exc:
        log.warning("metrics address is taken", extra={"address": address, "error_type": type(exc).__name__})
        return
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()


def _with_readiness(metrics: Any, why_not_ready: Callable[[], list[str]]) -> Any:
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] != READY_PATH:
            answer: Iterable[bytes] = metrics(environ, start_response)
            return answer
        reasons = why_not_ready()
        status = "503 Service Unavailable" if reasons else "200 OK"
        start_response(status, [("Content-Type", "application/json")])
        return [json.dumps({"status": "not ready", "reasons": reasons} if reasons else {"status": "ready"}).encode()]

    return app


def _server_for(host: str) -> type[ThreadingWSGIServer]:
    class Server(ThreadingWSGIServer):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

    return Server


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Logs no requests."""
