"""Runs the checks, group by group."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from redis.exceptions import RedisError

from surehook.fusionauth.doctor.endpoint import endpoint_findings
from surehook.fusionauth.doctor.findings import Finding, Group, odd
from surehook.fusionauth.doctor.handlers import handler_findings, import_handlers, process_findings
from surehook.fusionauth.doctor.prefix import prefix_findings
from surehook.fusionauth.doctor.queues import queue_findings
from surehook.fusionauth.doctor.settings import settings_findings
from surehook.fusionauth.doctor.spool import spool_findings
from surehook.fusionauth.doctor.store import store_findings, unreachable_store
from surehook.fusionauth.doctor.timeouts import DOCUMENTED, WebhookTimeouts, timeout_findings
from surehook.fusionauth.own_endpoint import endpoint_url
from surehook.shared.errors import Misconfigured, SurehookError
from surehook.shared.keys import Keys
from surehook.shared.settings import Settings
from surehook.shared.store import connect
from surehook.workers.handlers.registry import Registry

STORE_TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Examination:
    """The checks of one installation. `url` is the endpoint's address from outside, if it has another one there."""

    settings: Settings
    folder: Path
    now: datetime
    url: str | None = None

    def groups(self) -> Iterator[Group]:
        """Runs the checks that need no access to FusionAuth."""
        yield _group("Settings", lambda: settings_findings(self.settings, self.now))
        registry, imported = import_handlers(self.settings, self.folder)
        yield from self._store_groups(registry, imported)
        yield _group("Spool", lambda: spool_findings(self.settings))
        yield _group("Endpoint", self._endpoint)

    def timeouts(self, theirs: WebhookTimeouts = DOCUMENTED) -> Group:
        return _group("Timeouts", lambda: timeout_findings(self.settings, theirs))

    def _store_groups(self, registry: Registry | None, imported: list[Finding]) -> Iterator[Group]:
        settings, keys = self.settings, Keys(self.settings.key_prefix)
        handlers = [*imported, *(handler_findings(settings, registry) if registry is not None else ())]
        if problem := unreachable_store(settings):
            yield Group("Store", (problem,))
            yield Group("Handlers", tuple(handlers))
            return
        with connect(settings, timeout_seconds=STORE_TIMEOUT_SECONDS) as store:
            yield _group("Store", lambda: [*store_findings(settings, store), *prefix_findings(store, keys)])
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


def _group(title: str, check: Callable[[], Iterable[Finding]]) -> Group:
    """Runs a group. What cannot be asked is a finding too, so that the other groups still run."""
    found: list[Finding] = []
    try:
        found.extend(check())
    except (SurehookError, RedisError, OSError) as exc:
        said = str(exc) if isinstance(exc, SurehookError) else type(exc).__name__
        means = "The rest of this group was not checked."
        found.append(
            odd("not-checked", f"{title} could not be checked: {said}.", means, "repair that, and run it again")
        )
    return Group(title, tuple(found))
