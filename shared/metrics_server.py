"""The HTTP server for Prometheus metrics and worker readiness, on its own address."""

import errno
import json
import logging
from collections.abc import Callable, Iterable
from typing import Any

from prometheus_client import CollectorRegistry, make_wsgi_app

from surehook.shared.bounded_server import BoundedServer
from surehook.shared.errors import Misconfigured
from surehook.shared.settings import host_and_port

log = logging.getLogger(__name__)

READY_PATH = "/readyz"


def serve_metrics(
    address: str,
    registry: CollectorRegistry,
    why_not_ready: Callable[[], list[str]] | None = None,
    *,
    variable: str = "SUREHOOK_METRICS_BIND",
) -> None:
    """Serves in a thread. An address in use (a second worker on this machine) is logged as a warning.

    Args:
        address: host:port, or off.
        registry: what to show.
        why_not_ready: the reasons for /readyz to answer 503; none means 200.
        variable: the setting that holds the address.

    Raises:
        Misconfigured: the address cannot be used for another reason.
    """
    if address == "off":
        return
    host, port = host_and_port(address)
    app = make_wsgi_app(registry)
    if why_not_ready is not None:
        app = _with_readiness(app, why_not_ready)
    try:
        server = BoundedServer(host, port, app)
    except OSError as exc:
        if exc.errno != errno.EADDRINUSE:
            raise Misconfigured(f"{variable}={address}: {exc.strerror or exc}") from exc
        log.warning("metrics address is taken", extra={"address": address, "error_type": type(exc).__name__})
        return
    server.start("metrics")


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
