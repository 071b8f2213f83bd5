"""The HTTP server for Prometheus metrics, and pages in JSON for probes and autoscalers, on its own address."""

import errno
import json
import logging
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from importlib.metadata import version
from typing import Any
from urllib.parse import parse_qsl

from prometheus_client import CollectorRegistry, Info, make_wsgi_app

from surehook.shared.bounded_server import BoundedServer
from surehook.shared.errors import Misconfigured
from surehook.shared.settings import host_and_port

log = logging.getLogger(__name__)

READY_PATH = "/readyz"
Answer = tuple[HTTPStatus, Mapping[str, Any]]
Page = Callable[[Mapping[str, str]], Answer]
"""Answers a query with a status and an object."""


def serve_metrics(
    address: str,
    registry: CollectorRegistry,
    pages: Mapping[str, Page] | None = None,
    *,
    variable: str = "SUREHOOK_METRICS_BIND",
) -> None:
    """Serves in a thread. An address in use (a second worker on this machine) is logged as a warning.

    Args:
        address: host:port, or off.
        registry: what to show.
        pages: by their path.
        variable: the setting that holds the address.

    Raises:
        Misconfigured: the address cannot be used for another reason.
    """
    if address == "off":
        return
    host, port = host_and_port(address)
    Info("surehook_build", "The version that runs", registry=registry).info({"version": version("surehook")})
    app = _with_pages(make_wsgi_app(registry), pages or {})
    try:
        server = BoundedServer(host, port, app)
    except OSError as exc:
        if exc.errno != errno.EADDRINUSE:
            raise Misconfigured(f"{variable}={address}: {exc.strerror or exc}") from exc
        log.warning("metrics address is taken", extra={"address": address, "error_type": type(exc).__name__})
        return
    server.start("metrics")


def readiness(why_not_ready: Callable[[], list[str]]) -> Page:
    """A page that answers 503 while there are reasons."""

    def page(_: Mapping[str, str]) -> Answer:
        if reasons := why_not_ready():
            return HTTPStatus.SERVICE_UNAVAILABLE, {"status": "not ready", "reasons": reasons}
        return HTTPStatus.OK, {"status": "ready"}

    return page


def _with_pages(metrics: Any, pages: Mapping[str, Page]) -> Any:
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        page = pages.get(environ["PATH_INFO"])
        if page is None:
            answer: Iterable[bytes] = metrics(environ, start_response)
            return answer
        status, told = page(dict(parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True)))
        start_response(f"{status.value} {status.phrase}", [("Content-Type", "application/json")])
        return [json.dumps(told).encode()]

    return app
