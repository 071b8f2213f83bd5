"""The endpoint's metrics. Labels hold no ids, and an event type only if it is a known one."""

import asyncio

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from surehook.ingest.limits import Limits
from surehook.shared.event_types import label

STORE_UNAVAILABLE, STORE_REFUSES, NOT_DURABLE = "store_unavailable", "store_refuses", "not_durable"
INCOMPATIBLE_STORE = "incompatible_store"
NOT_READY_REASONS = (STORE_UNAVAILABLE, STORE_REFUSES, NOT_DURABLE, INCOMPATIBLE_STORE)
UPDATE_SECONDS = 1.0
ACCEPT_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)

BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
TRANSACTION_BUCKETS = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 5.0)


class IngestMetrics:
    """The endpoint's metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.accepted = Counter("surehook_events_accepted", "Events stored durably", ["type"], registry=self.registry)
        self.duplicates = Counter(
            "surehook_events_duplicate", "Deliveries of an event seen before", registry=self.registry
        )
        self.refused = Counter(
            "surehook_deliveries_refused", "Deliveries not accepted", ["reason"], registry=self.registry
        )
        self.accept_seconds = Histogram(
            "surehook_accept_seconds",
            "From a delivery's headers to its response, if it was accepted or a duplicate",
            buckets=ACCEPT_BUCKETS,
            registry=self.registry,
        )
        self.batch_size = Histogram(
            "surehook_accept_batch_size",
            "Events stored with one call; 256 when the store is the bottleneck",
            buckets=BATCH_BUCKETS,
            registry=self.registry,
        )
        self.transactions = Counter(
            "surehook_transactions", "Responses to transactional events", ["type", "outcome"], registry=self.registry
        )
        self.transaction_seconds = Histogram(
            "surehook_transaction_seconds",
            "From a transactional delivery's headers to its response",
            buckets=TRANSACTION_BUCKETS,
            registry=self.registry,
        )
        self.responses_lost = Counter(
            "surehook_responses_lost_after_confirm",
            "Confirmed successes whose sender had disconnected, or that the store did not report in time",
            registry=self.registry,
        )
        self._not_ready = Gauge(
            "surehook_not_ready",
            "1 for the reason why the store takes no events; /readyz responds 503 unless the spool takes them",
            ["reason"],
            registry=self.registry,
            multiprocess_mode="livemax",
        )
        self._pending = self._gauge("surehook_pending_requests", "Deliveries between their headers and their response")
        self._body_bytes = self._gauge("surehook_body_bytes_in_flight", "Bytes of their bodies, read or announced")
        self._connections = self._gauge("surehook_open_connections", "Connections to the endpoint, idle ones included")
        self._spooled = self._gauge("surehook_spooled_events", "Events on the local disk that wait for the store")
        self._spooled_bytes = self._gauge("surehook_spooled_bytes", "The room that they take there")
        self._spooled_seconds = Gauge(
            "surehook_spooled_oldest_seconds",
            "How long the oldest of them has waited",
            registry=self.registry,
            multiprocess_mode="livemax",
        )
        self._spool_set_aside = Gauge(
            "surehook_spool_set_aside",
            "Refused events, and databases of the spool that are damaged or for another store: `surehook spool list`",
            registry=self.registry,
            multiprocess_mode="livemax",
        )
        self._spool_not_writable = Gauge(
            "surehook_spool_not_writable",
            "1 if SPOOL_DIR's disk is full or read-only: the events that the store does not take are refused",
            registry=self.registry,
            multiprocess_mode="livemax",
        )
        self._accepted_by_type: dict[str, Counter] = {}
        self.set_not_ready(None)
        self.jwks_fetches = Counter(
            "surehook_jwks_fetches", "Fetches of the keys at JWKS_URL", ["outcome"], registry=self.registry
        )
        self.jwks_keys = Gauge(
            "surehook_jwks_keys", "Keys from JWKS_URL in use", registry=self.registry, multiprocess_mode="livemin"
        )
        self.jwks_fetched_at = Gauge(
            "surehook_jwks_fetched_timestamp_seconds",
            "When the keys at JWKS_URL were last fetched; 0: never",
            registry=self.registry,
            multiprocess_mode="livemin",
        )
        self.set_without_keys(is_without=False)

    def _gauge(self, name: str, description: str) -> Gauge:
        return Gauge(name, description, registry=self.registry, multiprocess_mode="livesum")

    async def update_gauges(self, limits: Limits) -> None:
        """Set the gauges once a second; setting them for each delivery would slow down every one."""
        while True:
            self._pending.set(limits.pending)
            self._body_bytes.set(limits.body_bytes)
            self._connections.set(limits.connections + limits.handshakes)
            await asyncio.sleep(UPDATE_SECONDS)

    def count_accepted(self, event_type: str) -> None:
        name = label(event_type)
        counter = self._accepted_by_type.get(name)
        if counter is None:
            counter = self._accepted_by_type[name] = self.accepted.labels(name)
        counter.inc()

    def set_not_ready(self, reason: str | None) -> None:
        for each in NOT_READY_REASONS:
            self._not_ready.labels(each).set(each == reason)

    def set_spooled(
        self, events: int, size: int, oldest_seconds: float, set_aside: int, *, is_writable: bool = True
    ) -> None:
        self._spooled.set(events)
        self._spooled_bytes.set(size)
        self._spooled_seconds.set(oldest_seconds)
        self._spool_set_aside.set(set_aside)
        self._spool_not_writable.set(not is_writable)

    def set_without_keys(self, *, is_without: bool) -> None:
        """Report that the JWKS is the only source of keys and was never fetched; independent of the store's reasons."""
        self._not_ready.labels("no_signing_keys").set(is_without)
