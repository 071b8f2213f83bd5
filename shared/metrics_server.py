"""Metrics for Prometheus, on an address of their own."""

import logging

from prometheus_client import CollectorRegistry, start_http_server

from shared.settings import host_and_port

log = logging.getLogger(__name__)


def serve_metrics(address: str, registry: CollectorRegistry) -> None:
    """Answer in a thread. An address that is taken (a second worker on this machine) is a warning, not an end."""
    if address == "off":
        return
    host, port = host_and_port(address)
    try:
        start_http_server(port, host, registry)
    except OSError as exc:
        log.warning("metrics address is taken", extra={"address": address, "error_type": type(exc).__name__})
