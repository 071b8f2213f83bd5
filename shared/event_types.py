"""FusionAuth's 64 event types, their fields, and which of them can stop the operation that they announce.

FusionAuth's documentation prints some types differently from the name that is sent and configured; here stands what
is sent:

| printed in the documentation           | sent                                                 |
|----------------------------------------|------------------------------------------------------|
| user.two-factor.failed.attempt         | user.two-factor.failed-attempt                       |
| group.delete.create                    | group.delete.complete                                |
| event.log.create, create-log.create    | event-log.create                                     |
| audit.log.create                       | audit-log.create                                     |
| identity.verified                      | user.identity.verified                               |
| user.registration.create, .update and .delete in the samples of the .complete pages | ....complete |
"""

import re
import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from types import MappingProxyType
from typing import Literal

Scope = Literal["tenant", "instance"]
_Row = tuple[str, str | None, str]

_LOGIN = "user applicationId authenticationType connectorId identityProviderId identityProviderName ipAddress"
_DUPLICATE = "user existing duplicateEmail duplicateIdentities duplicatePhoneNumber duplicateUsername"
_ACTION = (
    "applicationIds action actionId actioneeUserId actionerUserId comment email emailedUser expiry "
    "localizedAction localizedDuration localizedOption localizedReason notifyUser option phase reason reasonCode"
)

# Each row: the type, the FusionAuth version that introduced it (None: not documented), and its fields beside those
# of every event.

# Sent before the commit. The tenant's transaction setting decides whether a refusal stops the operation.
_TRANSACTIONAL: tuple[_Row, ...] = (
    ("entity.create", "1.69.0", "entity"),
    ("entity.delete", "1.69.0", "entity"),
    ("entity.update", "1.69.0", "entity original"),
    ("group.create", "1.38.0", "group"),
    ("group.delete", "1.38.0", "group"),
    ("group.member.add", "1.38.0", "group members"),
    ("group.member.remove", "1.38.0", "group members"),
    # Also sent, instead of group.member.remove, when the last members leave all at once.
    ("group.member.update", "1.38.0", "group members"),
    ("group.update", "1.38.0", "group original"),
    ("jwt.public-key.update", None, "applicationIds"),
    ("jwt.refresh", "1.16.0", "applicationId original refreshToken token userId"),
    (
        "jwt.refresh-token.revoke",
        None,
        "user applicationId applicationTimeToLiveInSeconds refreshToken userId",
    ),
    # Documented only for Kafka: the message of its connection test.
    ("test", None, "message"),
    ("user.action", None, _ACTION),
    # The import sends this one and never user.create.
    ("user.bulk.create", None, "users"),
    ("user.create", None, "user"),
    ("user.deactivate", None, "user"),
    ("user.delete", None, "user"),
    ("user.email.verified", "1.8.0", "user"),
    # Not documented; it is in FusionAuth's client libraries.
    ("user.identity.update", None, "user loginIdType newLoginId previousLoginId"),
    ("user.identity.verified", "1.59.0", "user loginId loginIdType"),
    ("user.login.failed", "1.6.0", "user applicationId authenticationType ipAddress reason"),
    ("user.login.new-device", "1.30.0", _LOGIN),
    ("user.login.success", "1.6.0", _LOGIN),
    ("user.login.suspicious", "1.30.0", f"{_LOGIN} threatsDetected"),
    ("user.password.breach", "1.15.0", "user"),
    ("user.reactivate", None, "user"),
    ("user.registration.create", "1.6.0", "user applicationId registration"),
    ("user.registration.delete", "1.6.0", "user applicationId registration"),
    ("user.registration.update", "1.6.0", "user applicationId original registration"),
    ("user.registration.verified", "1.8.0", "user applicationId registration"),
    ("user.update", "1.6.0", "user original"),
)

# FusionAuth commits after any response to these.
_NON_TRANSACTIONAL: tuple[_Row, ...] = (
    ("entity.create.complete", "1.69.0", "entity"),
    ("entity.delete.complete", "1.69.0", "entity"),
    ("entity.update.complete", "1.69.0", "entity original"),
    ("group.create.complete", "1.38.0", "group"),
    ("group.delete.complete", "1.38.0", "group"),
    ("group.member.add.complete", "1.38.0", "group members"),
    ("group.member.remove.complete", "1.38.0", "group members"),
    ("group.member.update.complete", "1.38.0", "group members"),
    ("group.update.complete", "1.38.0", "group original"),
    ("user.create.complete", "1.30.0", "user"),
    ("user.delete.complete", "1.30.0", "user"),
    ("user.email.update", "1.30.0", "user previousEmail"),
    ("user.identity-provider.link", "1.36.0", "user identityProviderLink"),
    ("user.identity-provider.unlink", "1.36.0", "user identityProviderLink"),
    ("user.loginId.duplicate.create", "1.30.0", _DUPLICATE),
    ("user.loginId.duplicate.update", "1.30.0", _DUPLICATE),
    ("user.password.reset.send", "1.30.0", "user"),
    ("user.password.reset.start", "1.30.0", "user"),
    ("user.password.reset.success", "1.30.0", "user"),
    ("user.password.update", "1.30.0", "user"),
    ("user.registration.create.complete", "1.30.0", "user applicationId registration"),
    ("user.registration.delete.complete", "1.30.0", "user applicationId registration"),
    ("user.registration.update.complete", "1.30.0", "user applicationId original registration"),
    ("user.two-factor.challenge", "1.68.0", "user applicationId clientRisk"),
    ("user.two-factor.failed-attempt", "1.68.0", "user applicationId clientRisk messageType method"),
    ("user.two-factor.method.add", "1.30.0", "user method"),
    ("user.two-factor.method.remove", "1.30.0", "user method"),
    ("user.two-factor.success", "1.68.0", "user applicationId clientRisk messageType method"),
    ("user.update.complete", "1.30.0", "user original"),
)

# They concern the whole installation, are never transactional, and are sent without any tenant's setting.
_INSTANCE: tuple[_Row, ...] = (
    ("audit-log.create", "1.30.0", "auditLog"),
    ("event-log.create", "1.30.0", "eventLog"),
    ("kickstart.success", "1.30.0", "instanceId"),
)

# audit-log.create has a tenant since FusionAuth 1.65.0, where the entry has one (FACTS §6).
_WITHOUT_TENANT = frozenset({"event-log.create", "kickstart.success"})

_APPLICATION_FIELDS = frozenset({"applicationId", "applicationIds", "applicationTimeToLiveInSeconds", "user"})


@dataclass(frozen=True, slots=True)
class EventType:
    """`fields` are the type's own; any of them may be missing from an event, since FusionAuth leaves nulls out."""

    name: str
    is_transactional: bool
    scope: Scope
    since: str | None
    fields: tuple[str, ...]

    @property
    def can_name_tenant(self) -> bool:
        return self.name not in _WITHOUT_TENANT

    @property
    def can_name_application(self) -> bool:
        """Its events can name applications, or a user who is registered for some."""
        return not _APPLICATION_FIELDS.isdisjoint(self.fields)


def _event_types(rows: tuple[_Row, ...], scope: Scope, *, is_transactional: bool) -> dict[str, EventType]:
    return {
        name: EventType(name, is_transactional, scope, since, tuple(fields.split())) for name, since, fields in rows
    }


EVENT_TYPES: Mapping[str, EventType] = MappingProxyType(
    _event_types(_TRANSACTIONAL, "tenant", is_transactional=True)
    | _event_types(_NON_TRANSACTIONAL, "tenant", is_transactional=False)
    | _event_types(_INSTANCE, "instance", is_transactional=False)
)


def matches_pattern(pattern: str, event_type: str) -> bool:
    """Tells whether a type fits a pattern such as `user.*`, in which `*` is any text."""
    if "*" not in pattern:
        return pattern == event_type
    return _expression(pattern).fullmatch(event_type) is not None


@lru_cache(maxsize=512)
def _expression(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, pattern.split("*"))))


def closest(name: str, cutoff: float = 0.6) -> list[str]:
    """Returns known types with a similar name, the most similar first. At `cutoff` 1 only equal names are similar."""
    return get_close_matches(name, EVENT_TYPES, cutoff=cutoff)


def label(name: str) -> str:
    """Returns the type as a metric's label. Unknown types share "other", so that clients cannot create new series."""
    return name if name in EVENT_TYPES else "other"


def lua_patterns(types: Iterable[str]) -> str:
    """Types and patterns such as `user.*` as patterns of Lua, separated by spaces."""
    escaped = ("".join(".*" if c == "*" else c if c.isalnum() else f"%{c}" for c in each) for each in sorted(types))
    return " ".join(f"^{each}$" for each in escaped if not set(each) & set(string.whitespace))
