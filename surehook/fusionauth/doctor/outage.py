"""Says what FusionAuth's users notice while this receiver is down, for each event type that is sent here."""

from collections import defaultdict
from dataclasses import dataclass

from surehook.fusionauth.doctor.access import Installation
from surehook.fusionauth.doctor.transactions import commits_without_us, is_sent_here, setting_of, webhooks_for
from surehook.shared.event_types import EVENT_TYPES

NOTHING = "nothing (`reconcile` fetches it)"
SLOWER = "wait longer: ours is tried four times"
FAILS = (
    ("user.login.failed", "see an error after a wrong password"),
    ("user.login.", "cannot log in"),
    ("user.create", "cannot register or be created"),
    ("user.registration.verified", "cannot verify their registration"),
    ("user.registration.", "cannot change registrations"),
    ("user.email.verified", "cannot verify their address"),
    ("user.identity.verified", "cannot verify address or phone"),
    ("user.update", "cannot change, or log in via a provider"),
    ("user.delete", "cannot be deleted"),
    ("user.bulk.create", "imports fail"),
    ("user.password.breach", "cannot log in (breached password)"),
    ("jwt.refresh-token.revoke", "cannot log out of other devices"),
    ("jwt.refresh", "are logged out with their token"),
    ("group.", "groups cannot be changed"),
    ("entity.", "entities cannot be changed"),
)


@dataclass(frozen=True, slots=True)
class Outage:
    """One type, under one transaction setting."""

    event_type: str
    setting: str
    tenants: tuple[str, ...]
    """The names of the tenants with this setting."""
    users: str
    blocks: bool


def outages(found: Installation) -> list[Outage]:
    rows: list[Outage] = []
    for event_type in EVENT_TYPES:
        alike = defaultdict[tuple[str, int], list[str]](list)
        for tenant_id in found.tenants:
            if is_sent_here(found, tenant_id, event_type):
                webhooks = webhooks_for(found, tenant_id, event_type)
                alike[setting_of(found, tenant_id, event_type), webhooks].append(found.tenant_name(tenant_id))
        for (setting, webhooks), tenants in alike.items():
            users, is_blocked = _users(event_type, setting, webhooks)
            rows.append(Outage(event_type, setting, tuple(tenants), users, is_blocked))
    return rows


def _users(event_type: str, setting: str, webhooks: int) -> tuple[str, bool]:
    if setting == "None":
        return NOTHING, False
    if commits_without_us(setting, webhooks):
        return SLOWER, False
    words = next((words for prefix, words in FAILS if event_type.startswith(prefix)), "the operation fails with 504")
    return words, True
