"""Compares the tenants' transaction settings with TRANSACTIONAL_EVENTS."""

from collections import defaultdict
from collections.abc import Iterator

from surehook.fusionauth.doctor.access import Installation
from surehook.fusionauth.doctor.findings import Finding, fine, loses, odd
from surehook.fusionauth.transaction_setting import SETTINGS, needed
from surehook.fusionauth.webhooks import receives, tenant_events
from surehook.shared.event_types import EVENT_TYPES
from surehook.shared.plural import counted
from surehook.shared.settings import Settings
from surehook.shared.transactional_events import transactional_types

TENANT = "FusionAuth: Tenants > Edit > Webhooks: Transaction setting"
LIST = "SUREHOOK_TRANSACTIONAL_EVENTS"


def setting_of(found: Installation, tenant_id: str, event_type: str) -> str:
    """Returns a tenant's transaction setting for a type; one that we do not know counts as None."""
    events = tenant_events(found.tenants.get(tenant_id) or {})
    setting = str((events.get(event_type) or {}).get("transactionType") or "None")
    return setting if setting in SETTINGS and EVENT_TYPES[event_type].is_transactional else "None"


def webhooks_for(found: Installation, tenant_id: str, event_type: str) -> int:
    return sum(receives(hook, found.tenants, event_type, tenant_id) for hook in found.webhooks)


def is_sent_here(found: Installation, tenant_id: str, event_type: str) -> bool:
    return any(receives(hook, found.tenants, event_type, tenant_id) for hook in found.ours)


def commits_without_us(setting: str, webhooks: int) -> bool:
    """Says whether the operation commits if all other webhooks succeed and ours does not."""
    return needed(setting, webhooks) <= webhooks - 1


def transaction_findings(settings: Settings, found: Installation) -> Iterator[Finding]:
    listed = transactional_types(settings.transactional_events)
    ignored, outvoted, extra = (defaultdict[str, list[str]](list) for _ in range(3))
    agreeing = 0
    for tenant_id in found.tenants:
        name = found.tenant_name(tenant_id)
        for event_type in EVENT_TYPES:
            if not is_sent_here(found, tenant_id, event_type):
                continue
            setting = setting_of(found, tenant_id, event_type)
            is_listed = listed.include(event_type, tenant_id)
            if not is_listed:
                if setting != "None":
                    extra[name].append(event_type)
            elif setting == "None":
                ignored[name].append(event_type)
            elif commits_without_us(setting, webhooks_for(found, tenant_id, event_type)):
                outvoted[name].append(f"{event_type} ({setting})")
            else:
                agreeing += 1
    yield from _findings(ignored, outvoted, extra)
    if agreeing:
        yield fine(
            "transactions",
            f"For {counted(agreeing, 'type of a tenant', 'types of tenants')} a refusal here stops the operation.",
        )


def _findings(
    ignored: dict[str, list[str]], outvoted: dict[str, list[str]], extra: dict[str, list[str]]
) -> Iterator[Finding]:
    for name, types in ignored.items():
        means = "FusionAuth goes ahead in spite of a refusal, and the other handlers of a refused event do not run."
        wrong = f"{LIST} lists {', '.join(types)}, and the tenant {name} has None."
        yield loses("transaction-ignored", wrong, means, TENANT)
    for name, types in outvoted.items():
        means = "Other webhooks suffice: FusionAuth goes ahead although we refuse."
        wrong = f"The tenant {name} has {', '.join(types)}."
        yield odd("transaction-outvoted", wrong, means, f"{TENANT}: AbsoluteMajority")
    for name, types in extra.items():
        more = f" and {len(types) - 5} more" if len(types) > 5 else ""  # noqa: PLR2004 - a line or two
        means = "No handler decides, but while this receiver is down its users cannot do these things (table below)."
        wrong = f"The tenant {name} waits for {', '.join(types[:5])}{more}, and {LIST} does not list them."
        yield odd("transaction-extra", wrong, means, f"{TENANT}: None; or {LIST}")
