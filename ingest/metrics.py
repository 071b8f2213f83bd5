"""What the door counts. Labels hold no ids, and an event type only if the catalogue knows it."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

NOT_READY_REASONS = ("store_unavailable", "not_durable")
ACCEPT_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)

TRANSACTION_BUCKETS = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 5.0)


class DoorMetrics:
    """The door's series, in a registry of their own."""

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
            "From the delivery's headers to its answer, accepted and duplicate ones",
            buckets=ACCEPT_BUCKETS,
            registry=self.registry,
        )
        self.transactions = Counter(
            "surehook_transactions", "Answers to transactional events", ["type", "outcome"], registry=self.registry
        )
        self.transaction_seconds = Histogram(
            "surehook_transaction_seconds",
            "From a transactional delivery's headers to its answer",
            buckets=TRANSACTION_BUCKETS,
            registry=self.registry,
        )
        self.answers_lost = Counter(
            "surehook_answers_lost_after_confirm",
            "Confirmed answers whose sender had gone, or that the store did not let us know in time",
            registry=self.registry,
        )
        self._not_ready = Gauge(
            "surehook_not_ready", "1 for the reason why /readyz is red", ["reason"], registry=self.registry
        )
        self.set_not_ready(None)
        self.jwks_fetches = Counter(
            "surehook_jwks_fetches", "Fetches of the keys at JWKS_URL", ["outcome"], registry=self.registry
        )
        self.jwks_keys = Gauge("surehook_jwks_keys", "Keys from JWKS_URL in use", registry=self.registry)
        self.set_without_keys(is_without=False)

    def set_not_ready(self, reason: str | None) -> None:
        for known in NOT_READY_REASONS:
            self._not_ready.labels(known).set(known == reason)

    def set_without_keys(self, *, is_without: bool) -> None:
        """JWKS is the only source of keys, and none was ever fetched. Stands beside the store's reasons."""
        self._not_ready.labels("no_signing_keys").set(is_without)
