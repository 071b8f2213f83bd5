"""A sample event of every type, for trying a receiver without a FusionAuth.

Most fields look the same wherever they stand (`_FIELDS`). Types that give a field another meaning, or
fill one that others leave out, stand in `_FIELDS_OF`.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from surehook.fusionauth import sample_parts as parts
from surehook.fusionauth.sample_parts import SAMPLE_USER_ID
from surehook.shared.event_types import EVENT_TYPES

__all__ = ["SAMPLE_USER_ID", "sample"]

_Builder = Callable[[int], Any]

_HOUR_MS = 3_600_000
_WITHOUT_TENANT = frozenset({"event-log.create", "kickstart.success"})


def sample(event_type: str, *, now: datetime, event_id: UUID) -> dict[str, Any]:
    """The body of an event, always the same for the same arguments.

    Raises:
        KeyError: FusionAuth knows no such type.
    """
    now_ms = int(now.timestamp() * 1000)
    own = _own_fields(event_type, now_ms)
    event = own | {"createInstant": now_ms, "id": str(event_id), "type": event_type}
    if linked_object_id := _linked_object_id(own):
        event["linkedObjectId"] = linked_object_id
    if event_type not in _WITHOUT_TENANT:
        event["tenantId"] = parts.TENANT_ID
    if event_type != "kickstart.success":  # FusionAuth causes it itself, without a request
        event["info"] = parts.info()
    return {"event": dict(sorted(event.items()))}


def _own_fields(event_type: str, now: int) -> dict[str, Any]:
    builders = _FIELDS | _FIELDS_OF.get(event_type.removesuffix(".complete"), {})
    return {name: builders[name](now) for name in EVENT_TYPES[event_type].fields if name in builders}


def _linked_object_id(own: Mapping[str, Any]) -> str | None:
    for name in ("user", "group", "entity"):
        if name in own:
            return str(own[name]["id"])
    return own.get("userId") or own.get("actioneeUserId")


def _revoked_refresh_token(now: int) -> dict[str, Any]:
    return {
        "applicationId": parts.APPLICATION_ID,
        "data": {},
        "id": "be40917d-63f8-4a25-8e0c-a1d7f5c3296b",
        "insertInstant": now - _HOUR_MS,
        "metaData": {
            "data": {},
            "device": {"name": "Kitchen tablet", "type": "TABLET"},
            "resources": ["https://shop.example.com/"],
            "scopes": ["offline_access"],
        },
        "startInstant": now - _HOUR_MS,
        "tenantId": parts.TENANT_ID,
        "token": "sample-refresh-token",
        "userId": str(SAMPLE_USER_ID),
    }


def _audit_log(now: int) -> dict[str, Any]:
    return {
        "id": 4208,
        "insertInstant": now,
        "insertUser": "head.gardener@example.com",
        "message": f"Updated the user with Id [{SAMPLE_USER_ID}]",
        "newValue": parts.user(now),
        "oldValue": parts.former_user(now),
        "reason": "FusionAuth User Interface",
        "tenantId": parts.TENANT_ID,
    }


def _event_log(now: int) -> dict[str, Any]:
    return {"id": 977, "insertInstant": now, "message": "The mail server did not answer.", "type": "Error"}


def _action_email(_: int) -> dict[str, Any]:
    text = "You can read the forum, and write in it again tomorrow."
    return {
        "attachments": [],
        "bcc": [],
        "cc": [],
        "from": {"address": "forum@example.com", "display": "Orchard Forum"},
        "html": f"<p>{text}</p>",
        "replyTo": {"address": "moderators@example.com", "display": "Forum moderators"},
        "subject": "A pause in the forum",
        "text": text,
        "to": [{"address": parts.EMAIL, "display": "Mirela Tanase"}],
    }


def _always(value: Any) -> _Builder:
    return lambda _: value


# A field that is in neither table is left out: the identity provider of a login with a password, for one.
_FIELDS: dict[str, _Builder] = {
    "applicationId": _always(parts.APPLICATION_ID),
    "applicationIds": lambda _: [parts.APPLICATION_ID],
    "applicationTimeToLiveInSeconds": lambda _: {parts.APPLICATION_ID: 900},
    "auditLog": _audit_log,
    "authenticationType": _always("PASSWORD"),
    "clientRisk": _always("LOW"),
    "connectorId": _always(parts.CONNECTOR_ID),
    "duplicateEmail": _always(parts.EMAIL),
    "duplicateIdentities": lambda _: [{"type": "email", "value": parts.EMAIL}],
    "entity": parts.entity,
    "eventLog": _event_log,
    "existing": parts.conflicting_user,
    "group": parts.group,
    "identityProviderLink": parts.identity_provider_link,
    "instanceId": _always(parts.INSTANCE_ID),
    "ipAddress": _always(parts.IP_ADDRESS),
    "loginId": _always(parts.EMAIL),
    "loginIdType": _always("email"),
    "members": parts.members,
    "message": _always("A sample of Surehook's."),
    "messageType": _always("SMS"),
    "method": _always("sms"),
    "newLoginId": _always(parts.EMAIL),
    "previousEmail": _always(parts.FORMER_EMAIL),
    "previousLoginId": _always(parts.FORMER_EMAIL),
    "registration": parts.registration,
    "threatsDetected": lambda _: ["UnrecognizedDevice"],
    "user": parts.user,
    "userId": _always(str(SAMPLE_USER_ID)),
    "users": lambda now: [parts.new_user(now), parts.other_user(now)],
}

_ACTION: dict[str, _Builder] = {
    "action": _always("Suspend"),
    "actionId": _always("61f8d7b2-0e94-4ca3-97d5-b83a20c4e6f1"),
    "actioneeUserId": _always(str(SAMPLE_USER_ID)),
    "actionerUserId": _always(parts.MODERATOR_ID),
    "comment": _always("Third advertisement this week."),
    "email": _action_email,
    "emailedUser": _always(True),
    "expiry": lambda now: now + 12 * _HOUR_MS,
    "localizedAction": _always("Suspendare"),
    "localizedDuration": _always("12 ore"),
    "localizedOption": _always("Doar citire"),
    "localizedReason": _always("Reclamă"),
    "notifyUser": _always(True),
    "option": _always("Read only"),
    "phase": _always("start"),
    "reason": _always("Advertising"),
    "reasonCode": _always("ADV-3"),
}

# A type and its .complete have the same fields.
_FIELDS_OF: dict[str, dict[str, _Builder]] = {
    "entity.update": {"original": parts.former_entity},
    "group.update": {"original": parts.former_group},
    "jwt.refresh": {
        "original": lambda now: parts.access_token(now - _HOUR_MS),
        "refreshToken": _always("sample-refresh-token"),
        "token": parts.access_token,
    },
    "jwt.refresh-token.revoke": {"refreshToken": _revoked_refresh_token},
    "user.action": _ACTION,
    "user.create": {"user": parts.new_user},
    "user.deactivate": {"user": parts.inactive_user},
    "user.login.failed": {"reason": lambda _: {"code": "credentials"}},
    "user.login.new-device": {
        "authenticationType": _always("SAMLv2"),
        "identityProviderId": _always(parts.IDENTITY_PROVIDER_ID),
        "identityProviderName": _always("Orchard Staff Directory"),
    },
    "user.loginId.duplicate.create": {"user": parts.new_user},
    "user.password.breach": {"user": parts.breached_user},
    "user.registration.update": {"original": parts.former_registration},
    "user.two-factor.method.add": {"method": lambda _: parts.two_factor_method()},
    "user.two-factor.method.remove": {"method": lambda _: parts.two_factor_method()},
    "user.update": {"original": parts.former_user},
}
