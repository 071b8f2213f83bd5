"""Checks of the handlers: that they import, agree with the settings, and with the processes that run."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import redis

from surehook.admin.handlers import read_handlers
from surehook.fusionauth.doctor.findings import Finding, blocks, fine, loses, odd
from surehook.shared.child_processes import signals_restored
from surehook.shared.errors import Misconfigured
from surehook.shared.heartbeat import INGEST, WORKER
from surehook.shared.job_id import handler_of
from surehook.shared.keys import Keys
from surehook.shared.plural import counted
from surehook.shared.scripts import text, texts
from surehook.shared.settings import Settings
from surehook.shared.transactional_events import transactional_types
from surehook.workers.handlers.loader import load_handlers, require_agreement
from surehook.workers.handlers.registry import Registry

LIST = "SUREHOOK_TRANSACTIONAL_EVENTS"
JOBS_LOOKED_AT = 500
# FusionAuth recommends imports of up to 100,000 users in one request (FACTS §16).
LARGEST_IMPORT_BYTES = 64 * 1024 * 1024


def import_handlers(settings: Settings, folder: Path) -> tuple[Registry | None, list[Finding]]:
    """Imports the handlers as a worker does; what their modules print goes to stderr."""
    try:
        with contextlib.redirect_stdout(sys.stderr), signals_restored():
            registry = load_handlers(settings.handlers, folder)
    except Misconfigured as exc:
        means = "Workers with this code do not start: events wait, and transactional ones are refused."
        level = blocks if settings.transactional_events else loses
        return None, [level("handlers", f"{exc}.", means, "SUREHOOK_HANDLERS, or the module that the sentence names")]
    types = sorted({name for handler in registry for name in handler.types})
    return registry, [
        fine("handlers", f"{counted(len(registry), 'handler imports', 'handlers import')}, for {', '.join(types)}.")
    ]


def without_modules(imported: list[Finding], store: redis.Redis, keys: Keys) -> list[Finding]:
    """The findings of the import when no module is named. That is odd, and no more, while workers run handlers."""
    running = [report.name for report in read_handlers(store, keys)[0] if report.is_running]
    if not running:
        return imported
    return [
        odd(
            "handlers",
            f"SUREHOOK_HANDLERS is not set here, but workers run {', '.join(running)}.",
            "The handlers were not checked. `surehook dev` gives its workers the example's.",
            "SUREHOOK_HANDLERS, as the workers have it",
        )
    ]


def handler_findings(settings: Settings, registry: Registry) -> Iterator[Finding]:
    try:
        require_agreement(registry, transactional_types(settings.transactional_events))
    except Misconfigured as exc:
        for sentence in str(exc).splitlines():
            means = "Workers of `transactional` do not start, so FusionAuth's operation is refused or never decided."
            yield blocks("agreement", f"{sentence}.", means, LIST)
    is_import = any(handler.matches_type("user.bulk.create") and "*" not in handler.types for handler in registry)
    if is_import and settings.max_body_bytes < LARGEST_IMPORT_BYTES:
        yield odd(
            "imports",
            f"SUREHOOK_MAX_BODY_BYTES={settings.max_body_bytes} is smaller than a large import.",
            "FusionAuth sends one user.bulk.create for up to 100,000 users (64 MiB): it is refused and lost.",
            "SUREHOOK_MAX_BODY_BYTES, or smaller imports (docs/http.md)",
        )


def process_findings(
    settings: Settings, registry: Registry | None, store: redis.Redis, keys: Keys
) -> Iterator[Finding]:
    """Compares the code and settings here with those of the processes that run."""
    ours = str(transactional_types(settings.transactional_events))
    agrees = True
    for kind, name in ((INGEST, "endpoint"), (WORKER, "worker")):
        for theirs in sorted(_types_of(store, keys, kind) - {ours}):
            agrees = False
            yield blocks(
                "processes-agree",
                f"A running {name} has {LIST}={theirs}, here it is {ours}.",
                "For types on one list alone, handlers do not run, or FusionAuth's operation is refused.",
                f"{LIST}: the same for all processes, then restart them",
            )
    if agrees:
        yield fine("processes-agree", f"All processes that report it have the same {LIST} as here.")
    if registry is not None:
        yield from _jobs_without_handler(store, keys, registry)


def _types_of(store: redis.Redis, keys: Keys, kind: str) -> set[str]:
    processes: Any = store.zrange(keys.alive(kind, "").removesuffix(":"), 0, -1)
    found = (store.hget(keys.alive(kind, name), "types") for name in texts(processes))
    return {text(each) for each in found if each is not None}


def _jobs_without_handler(store: redis.Redis, keys: Keys, registry: Registry) -> Iterator[Finding]:
    missing: set[str] = set()
    for queue in texts(store.smembers(keys.queues)):
        waiting: Any = store.lrange(keys.rq_queue(queue), 0, JOBS_LOOKED_AT - 1)
        due: Any = store.zrange(keys.rq_scheduled(queue), 0, JOBS_LOOKED_AT - 1)
        names = {handler_of(job) for job in texts([*waiting, *due])}
        missing |= {name for name in names if name and registry.named(name) is None}
    if missing:
        yield odd(
            "unknown-handler",
            f"Jobs wait for handlers that are not in this code: {', '.join(sorted(missing))}.",
            "They are tried again every 30 s and never run.",
            "SUREHOOK_HANDLERS, or @on(…, name=…) with the old id (docs/handlers.md)",
        )
