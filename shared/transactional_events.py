"""Decides which events are transactional: the sender waits for the handlers, and their outcome is the response."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from surehook.shared.errors import Misconfigured
from surehook.shared.event_types import EVENT_TYPES, closest


@dataclass(frozen=True, slots=True)
class TransactionalTypes:
    """The entries of SUREHOOK_TRANSACTIONAL_EVENTS: types for all tenants, and types of one tenant."""

    entries: frozenset[tuple[str, str]] = frozenset()
    """(tenant id, type); the tenant is "" for all tenants."""

    @property
    def types(self) -> frozenset[str]:
        return frozenset(event_type for _, event_type in self.entries)

    def include(self, event_type: str, tenant_id: str) -> bool:
        return ("", event_type) in self.entries or (tenant_id, event_type) in self.entries

    def __str__(self) -> str:
        return ",".join(sorted(f"{tenant}:{name}" if tenant else name for tenant, name in self.entries)) or "none"


def transactional_types(entries: Iterable[str]) -> TransactionalTypes:
    """Reads the entries of the setting.

    Raises:
        Misconfigured: an entry is no type, or a type that cannot be transactional; says why.
    """
    return TransactionalTypes(frozenset(_entry(entry) for entry in entries))


def can_be_transactional(event_type: str) -> bool:
    """Says whether FusionAuth can be configured to wait for the response to this type."""
    known = EVENT_TYPES.get(event_type)
    return known is not None and known.is_transactional


def require_transactional_type(event_type: str, where: str) -> None:
    """Checks that FusionAuth waits for the response to this type.

    Raises:
        Misconfigured: FusionAuth does not know the type, or does not wait for a response to it.
    """
    known = EVENT_TYPES.get(event_type)
    if known is None:
        near = closest(event_type)
        hint = f"did you mean {' or '.join(near)}?" if near else "`surehook trigger --list` shows the types."
        raise Misconfigured(f"{where}: there is no event type {event_type!r}: {hint}")
    if known.is_transactional:
        return
    if event_type.endswith(".complete"):
        before = event_type.removesuffix(".complete")
        raise Misconfigured(
            f"{where}: FusionAuth sends {event_type} after the commit, so no answer can stop it: use {before}"
        )
    raise Misconfigured(f"{where}: FusionAuth ignores responses to {event_type}, so it cannot be stopped")


def _entry(entry: str) -> tuple[str, str]:
    tenant, colon, event_type = entry.rpartition(":")
    if colon:
        try:
            tenant = str(UUID(tenant))
        except ValueError:
            raise Misconfigured(f"{entry!r}: expected a type, or a tenant's id, a colon and a type") from None
    require_transactional_type(event_type, entry)
    return tenant, event_type
