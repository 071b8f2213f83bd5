"""Counts refused deliveries and logs them, wherever in the endpoint they are refused."""

from surehook.ingest.metrics import IngestMetrics
from surehook.ingest.rate_limited_log import RateLimitedLog


class Refusals:
    """The metric of a process's refused deliveries, with a line a second for each kind of them."""

    def __init__(self, metrics: IngestMetrics) -> None:
        self._metrics = metrics
        self._log = RateLimitedLog("delivery refused")

    def count(self, reason: str) -> None:
        self._metrics.refused.labels(reason).inc()
        self._log.add(reason, reason=reason)

    def count_request(self, reason: str, method: str, path: str) -> None:
        """Counts a request to another path or with another method."""
        self._metrics.refused.labels(reason).inc()
        # Apart by method, so that a balancer's GETs do not hide a mistyped webhook URL.
        self._log.add(f"{reason} {method}", reason=reason, method=method, path=path)
