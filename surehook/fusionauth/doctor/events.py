"""Compares the events that handlers want with those that the webhook and the tenants send."""

from collections.abc import Iterable, Iterator

from surehook.fusionauth.doctor.access import Installation, Json
from surehook.fusionauth.doctor.findings import Finding, fine, loses, odd
from surehook.fusionauth.webhooks import receives, tenant_enables
from surehook.shared.event_types import EVENT_TYPES
from surehook.shared.plural import counted
from surehook.workers.handlers.registry import Registry

HOOK = "FusionAuth: Settings > Webhooks > Edit: Events"
TENANT = "FusionAuth: Tenants > Edit > Webhooks"
LOOP_TYPE = "event-log.create"


def named_types(registry: Registry) -> set[str]:
    """Returns the types that handlers name, without patterns."""
    return {name for handler in registry for name in handler.types if name in EVENT_TYPES}


def wanted_types(registry: Registry) -> set[str]:
    """Returns all types that a handler matches."""
    return {name for name in EVENT_TYPES if any(handler.matches_type(name) for handler in registry)}


def event_findings(found: Installation, registry: Registry) -> Iterator[Finding]:
    named, wanted = named_types(registry), wanted_types(registry)
    if unknown := {name for name in named if not _is_known(found, name)}:
        means = "It never sends them."
        yield odd("types-unknown", f"FusionAuth {found.version} is older than {_list(unknown)}.", means, "an upgrade")
    named -= unknown
    off = {name for name in named if not any(_enables(hook, name) for hook in found.ours)}
    if off:
        yield loses("types-webhook", f"The webhook is off for {_list(off)}.", "Their handlers never run.", HOOK)
    findings = list(_tenants(found, registry, named - off))
    yield from findings
    if not off and not findings:
        yield fine("types", f"What handlers name is sent here: {counted(len(named), 'type', 'types')}.")
    patterns = {name for name in wanted - named if _is_known(found, name) and not _is_sent(found, name)}
    if patterns:
        means = "Handlers with a pattern do not see them."
        yield odd("types-pattern", f"Not sent: {_list(patterns)}.", means, f"{HOOK}; {TENANT}")
    if unwanted := {name for name in EVENT_TYPES if _is_sent(found, name)} - wanted:
        means = "They are stored, counted as unhandled, and forgotten."
        yield odd("types-unwanted", f"No handler wants {_list(unwanted)}.", means, f"{HOOK}, or a handler")
    if any(_enables(hook, LOOP_TYPE) for hook in found.ours):
        yield odd(
            "event-log-loop",
            f"The webhook is on for {LOOP_TYPE}.",
            "FusionAuth writes a failed delivery into that log, which makes another event.",
            f"{HOOK}: {LOOP_TYPE} off",
        )


def _tenants(found: Installation, registry: Registry, types: set[str]) -> Iterator[Finding]:
    for tenant_id, tenant in found.tenants.items():
        if not any(hook.get("global") or tenant_id in (hook.get("tenantIds") or ()) for hook in found.ours):
            continue
        off = {
            name
            for name in types
            if EVENT_TYPES[name].scope == "tenant"
            and not tenant_enables(tenant, name)
            and any(each.matches_type(name) and each.tenant_id in (None, tenant_id) for each in registry)
        }
        if off:
            means = "Handlers never run for this tenant's events."
            wrong = f"The tenant {found.tenant_name(tenant_id)} is off for {_list(off)}."
            yield loses("types-tenant", wrong, means, TENANT)


def _is_known(found: Installation, event_type: str) -> bool:
    return found.is_at_least(EVENT_TYPES[event_type].since or "1.0.0")


def _is_sent(found: Installation, event_type: str) -> bool:
    return any(
        receives(hook, found.tenants, event_type, tenant) for hook in found.ours for tenant in ("", *found.tenants)
    )


def _enables(hook: Json, event_type: str) -> bool:
    return bool((hook.get("eventsEnabled") or {}).get(event_type))


def _list(types: Iterable[str]) -> str:
    names = sorted(types)
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""  # noqa: PLR2004 - a line or two
    return f"{', '.join(names[:5])}{more}"
