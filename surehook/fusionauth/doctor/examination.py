"""Runs the checks, group by group."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from redis.exceptions import RedisError

from surehook.fusionauth.client import FusionAuthClient
from surehook.fusionauth.doctor.access import (
    Installation,
    installation_findings,
    read_installation,
    refused_key,
)
from surehook.fusionauth.doctor.deliveries import delivery_findings
from surehook.fusionauth.doctor.encryption import encryption_findings
from surehook.fusionauth.doctor.endpoint import endpoint_findings
from surehook.fusionauth.doctor.events import event_findings
from surehook.fusionauth.doctor.findings import Finding, Group, odd
from surehook.fusionauth.doctor.handlers import handler_findings, import_handlers, process_findings, without_modules
from surehook.fusionauth.doctor.outage import Outage, outages
from surehook.fusionauth.doctor.prefix import prefix_findings
from surehook.fusionauth.doctor.queues import queue_findings
from surehook.fusionauth.doctor.settings import settings_findings
from surehook.fusionauth.doctor.signing import published_key_findings, signing_findings
from surehook.fusionauth.doctor.spool import spool_findings
from surehook.fusionauth.doctor.store import store_findings, unreachable_store
from surehook.fusionauth.doctor.timeouts import DOCUMENTED, timeout_findings
from surehook.fusionauth.doctor.transactions import transaction_findings
from surehook.fusionauth.doctor.webhook import timeouts_of, webhook_findings
from surehook.fusionauth.own_endpoint import endpoint_url
from surehook.fusionauth.transport import KeyRefused
from surehook.shared.errors import Misconfigured, SurehookError
from surehook.shared.keys import Keys
from surehook.shared.settings import Settings
from surehook.shared.store import connect
from surehook.workers.handlers.registry import Registry

STORE_TIMEOUT_SECONDS = 5.0
FUSIONAUTH = "FusionAuth"


@dataclass
class Examination:
    """The checks of one installation. `url` is the endpoint's address from outside, if it has another one there."""

    settings: Settings
    folder: Path
    now: datetime
    url: str | None = None
    client: FusionAuthClient | None = None
    registry: Registry | None = None
    found: Installation | None = None

    def groups(self) -> Iterator[Group]:
        """Runs all checks; those of FusionAuth's configuration need a client."""
        settings = self.settings
        yield _group("Settings", lambda: [*settings_findings(settings, self.now), *published_key_findings(settings)])
        self.registry, imported = import_handlers(self.settings, self.folder)
        yield from self._store_groups(imported)
        yield _group("Spool", lambda: spool_findings(self.settings))
        yield _group("Endpoint", self._endpoint)
        fusionauth = list(self._fusionauth_groups())
        theirs = (timeouts_of(self.found) if self.found is not None else None) or DOCUMENTED
        yield _group("Timeouts", lambda: timeout_findings(self.settings, theirs))
        yield from fusionauth

    def outages(self) -> list[Outage]:
        """Returns what users notice while this receiver is down; nothing without access to FusionAuth."""
        return [] if self.found is None else outages(self.found)

    def _store_groups(self, imported: list[Finding]) -> Iterator[Group]:
        settings, registry, keys = self.settings, self.registry, Keys(self.settings.key_prefix)
        handlers = [*imported, *(handler_findings(settings, registry) if registry is not None else ())]
        if problem := unreachable_store(settings):
            yield Group("Store", (problem,))
            yield Group("Handlers", tuple(handlers))
            return
        with connect(settings, timeout_seconds=STORE_TIMEOUT_SECONDS) as store:
            yield _group(
                "Store",
                lambda: [
                    *store_findings(settings, store),
                    *prefix_findings(store, keys),
                    *encryption_findings(settings, store, keys),
                ],
            )
            if not settings.handlers:
                handlers = without_modules(imported, store, keys)
            yield _group("Handlers", lambda: [*handlers, *process_findings(settings, registry, store, keys)])
            yield _group("Queues", lambda: queue_findings(settings, registry, store, keys))

    def _endpoint(self) -> Iterator[Finding]:
        try:
            own = endpoint_url(self.settings)
        except Misconfigured as exc:
            if self.url is None:
                means = "The endpoint was not reached over HTTP."
                yield odd("endpoint", f"{exc}.", means, "`surehook doctor --url URL`")
        else:
            yield from endpoint_findings(self.settings, own, self.now, is_own=True)
        if self.url is not None:
            yield from endpoint_findings(self.settings, self.url, self.now, is_own=False)

    def _fusionauth_groups(self) -> Iterator[Group]:
        client = self.client
        if client is None:
            yield Group(FUSIONAUTH, (_not_asked(),))
            return
        first = _group(FUSIONAUTH, lambda: self._read(client))
        yield first
        if self.found is None:
            return
        found, registry = self.found, self.registry
        yield _group("Webhook", lambda: webhook_findings(self.settings, found, registry, self.now))
        if not found.ours:
            return
        yield _group("Signature", lambda: signing_findings(self.settings, found, self.now))
        if registry is not None:
            yield _group("Events", lambda: event_findings(found, registry))
        yield _group("Transactions", lambda: transaction_findings(self.settings, found))
        yield _group("Deliveries", lambda: delivery_findings(client, found, self.now))

    def _read(self, client: FusionAuthClient) -> Iterator[Finding]:
        self.found = read_installation(client, self.settings)
        yield from installation_findings(self.found)


def _not_asked() -> Finding:
    return odd(
        "fusionauth",
        "FusionAuth was not asked.",
        "Its webhook, events, signature, transaction settings and event log were not checked.",
        "SUREHOOK_FUSIONAUTH_URL and SUREHOOK_FUSIONAUTH_API_KEY",
    )


def _group(title: str, check: Callable[[], Iterable[Finding]]) -> Group:
    """Runs a group. What cannot be asked is a finding too, so that the other groups still run."""
    found: list[Finding] = []
    try:
        for finding in check():
            found.append(finding)  # noqa: PERF402 - what was found before an error stays
    except KeyRefused as exc:
        found.append(refused_key(exc))
    except (SurehookError, RedisError, OSError) as exc:
        said = str(exc) if isinstance(exc, SurehookError) else type(exc).__name__
        means = "The rest of this group was not checked."
        change = "the setting or the service that the sentence names"
        found.append(odd("not-checked", f"{title} could not be checked: {said}.", means, change))
    return Group(title, tuple(found))
