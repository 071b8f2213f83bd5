"""Compares how long FusionAuth waits for a response with how long we may take."""

from collections.abc import Iterator
from dataclasses import dataclass

from surehook.fusionauth.doctor.findings import Finding, blocks, fine, odd
from surehook.shared.settings import OFF, Settings

# After the deadline of a transaction the endpoint may take this long to confirm a success (docs/transactions.md).
CONFIRM_MS = 250
# With a spool an event is on a disk, or refused, within this time, or this long after STORE_TIMEOUT.
SPOOL_ANSWER_MS = 1_800
SPOOL_PATIENCE_MS = 300
LONG_MS = 10_000


@dataclass(frozen=True, slots=True)
class WebhookTimeouts:
    """FusionAuth's timeouts of a webhook, in milliseconds, and where they are set."""

    connect_ms: int
    read_ms: int
    place: str


# FusionAuth has no default: these are the values of its documentation's example (FACTS §3).
DOCUMENTED = WebhookTimeouts(
    1000, 2000, "FusionAuth: Settings > Webhooks > Edit: Connect timeout, Read timeout (1000 and 2000 are assumed)"
)


def timeout_findings(settings: Settings, theirs: WebhookTimeouts) -> Iterator[Finding]:
    findings = [*_stored(settings, theirs), *_decided(settings, theirs), *_long(theirs)]
    yield from findings or [
        fine("timeouts", f"FusionAuth waits {theirs.read_ms} ms for a response, longer than we take.")
    ]


def _stored(settings: Settings, theirs: WebhookTimeouts) -> Iterator[Finding]:
    store_ms = settings.store_timeout * 1000
    spool_ms = max(SPOOL_ANSWER_MS, store_ms + SPOOL_PATIENCE_MS)
    takes_ms = store_ms if settings.spool_dir == OFF else spool_ms
    name = "SUREHOOK_STORE_TIMEOUT" if settings.spool_dir == OFF or spool_ms > SPOOL_ANSWER_MS else "The spool"
    if takes_ms >= theirs.read_ms:
        yield odd(
            "store-timeout",
            f"{name} allows a response after {takes_ms:.0f} ms, and FusionAuth waits {theirs.read_ms} ms.",
            "While the store is slow, FusionAuth counts stored events as failed; under a transaction setting it "
            "refuses its users' operations.",
            theirs.place,
        )


def _decided(settings: Settings, theirs: WebhookTimeouts) -> Iterator[Finding]:
    takes_ms = settings.transaction_timeout * 1000 + CONFIRM_MS
    if settings.transactional_events and takes_ms >= theirs.read_ms:
        yield blocks(
            "transaction-timeout",
            f"A transactional response may take {takes_ms:.0f} ms, and FusionAuth waits {theirs.read_ms} ms.",
            "FusionAuth gives up on handlers that succeed later: the operation fails, and their effects are undone.",
            f"SUREHOOK_TRANSACTION_TIMEOUT below {(theirs.read_ms - CONFIRM_MS) / 1000:g}, or {theirs.place}",
        )


def _long(theirs: WebhookTimeouts) -> Iterator[Finding]:
    if max(theirs.connect_ms, theirs.read_ms) > LONG_MS:
        yield odd(
            "long-timeout",
            f"FusionAuth waits up to {theirs.connect_ms} ms to connect and {theirs.read_ms} ms for each read.",
            "While this receiver hangs, each login or registration takes as much longer.",
            f"{theirs.place}; 1000 and 2000 are enough",
        )
