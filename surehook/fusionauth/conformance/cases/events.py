"""Every type of event, and the forms that its fields take."""

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from surehook.fusionauth.conformance.case import EVENT_LOG_API, EVENTS, ISSUES, WEBHOOKS, Cases, Level
from surehook.fusionauth.conformance.exchange import Exchange
from surehook.fusionauth.conformance.probe import Probe
from surehook.fusionauth.sample_parts import APPLICATION_ID, SAMPLE_USER_ID, TENANT_ID
from surehook.shared.event_types import EVENT_TYPES

CASES = Cases()
KAFKA_ONLY = "test"


@CASES.accepts(
    "events.transactional", "Every type that FusionAuth sends inside a transaction is accepted.", "§4, §7", EVENTS
)
def transactional(probe: Probe) -> Sequence[Exchange]:
    return [
        probe.send(probe.event(name))
        for name, known in EVENT_TYPES.items()
        if known.is_transactional and name != KAFKA_ONLY
    ]


@CASES.accepts(
    "events.non-transactional",
    "Every type that FusionAuth sends once, whatever is answered, is accepted.",
    "§4, §5",
    EVENTS,
)
def non_transactional(probe: Probe) -> Sequence[Exchange]:
    return [
        probe.send(probe.event(name))
        for name, known in EVENT_TYPES.items()
        if not known.is_transactional and known.scope == "tenant"
    ]


@CASES.accepts("events.instance", "Events of the whole installation have no tenant.", "§6", f"{EVENTS}audit-log-create")
def instance(probe: Probe) -> Sequence[Exchange]:
    return [
        probe.send(probe.event(name, tenantId=None)) for name, known in EVENT_TYPES.items() if known.scope == "instance"
    ]


@CASES.accepts(
    "events.audit-log-of-tenant",
    "Since 1.65.0 an audit log entry may belong to a tenant.",
    "§6",
    f"{ISSUES}3449",
)
def audit_log_of_tenant(probe: Probe) -> Sequence[Exchange]:
    return [probe.send(probe.event("audit-log.create", tenantId=TENANT_ID), "with a tenant")]


@CASES.accepts("events.unknown-type", "A newer FusionAuth sends types that are unknown today.", "§6, §16", EVENTS)
def unknown_type(probe: Probe) -> Sequence[Exchange]:
    names = ("user.passkey.rotated", "tenant.archive.complete")
    return [probe.send(probe.event(type=name)) for name in names]


@CASES.accepts("events.unknown-fields", "A newer FusionAuth adds fields anywhere.", "§6", EVENTS)
def unknown_fields(probe: Probe) -> Sequence[Exchange]:
    event = probe.event(fieldOfTheFuture={"list": [1, True, "three"]})
    event["user"] = event["user"] | {"moodOfTheDay": "curious"}
    event["info"] = event["info"] | {"quantumState": [0, 1]}
    return [probe.send(event, "with unknown fields")]


@CASES.accepts("events.few-fields", "Every field of a user may be missing.", "§15", f"{ISSUES}3191")
def few_fields(probe: Probe) -> Sequence[Exchange]:
    user = {"id": str(SAMPLE_USER_ID)}
    return [
        probe.send(probe.event(name, user=user, info=None, linkedObjectId=None), "with a user of only an id")
        for name in ("user.update.complete", "user.deactivate", "user.login.success")
    ]


@CASES.accepts("events.without-tenant", "FusionAuth before 1.8.0 sends no tenantId.", "§6", EVENTS)
def without_tenant(probe: Probe) -> Sequence[Exchange]:
    return [probe.send(probe.event(tenantId=None), "without a tenant")]


@CASES.accepts("events.former-fields", "The documented samples have fields that users no longer have.", "§6", EVENTS)
def former_fields(probe: Probe) -> Sequence[Exchange]:
    event = probe.event()
    event["user"] = event["user"] | {"twoFactorEnabled": False, "passwordChangeRequired": False}
    return [probe.send(event | {"linkedObjectId": None}, "as an older version")]


@CASES.accepts(
    "events.revoked-tokens",
    "Refresh tokens are revoked one by one, for a user, for a user's application, or for an application.",
    "§7, §16",
    f"{EVENTS}jwt/jwt-refresh-token-revoke",
)
def revoked_tokens(probe: Probe) -> Sequence[Exchange]:
    none: dict[str, Any] = {
        "applicationId": None,
        "refreshToken": None,
        "user": None,
        "userId": None,
        "linkedObjectId": None,
    }
    seconds: dict[str, Any] = {"applicationTimeToLiveInSeconds": {APPLICATION_ID: 3600, str(uuid4()): 60}}
    forms: dict[str, dict[str, Any]] = {
        "one token": {},
        "a user": {"applicationId": None, "refreshToken": None, **seconds},
        "a user's application": {"refreshToken": None},
        "an application": none | {"applicationId": APPLICATION_ID},
    }
    return [probe.send(probe.event("jwt.refresh-token.revoke", **changes), name) for name, changes in forms.items()]


@CASES.accepts("events.action-phases", "A user action has four phases.", "§7", f"{EVENTS}user/user-actions")
def action_phases(probe: Probe) -> Sequence[Exchange]:
    return [
        probe.send(probe.event("user.action", phase=phase), phase) for phase in ("start", "modify", "cancel", "end")
    ]


@CASES.accepts(
    "events.failed-login",
    "A failed login names its reason, also that of a lambda function.",
    "§6",
    f"{EVENTS}user/login/user-login-failed",
)
def failed_login(probe: Probe) -> Sequence[Exchange]:
    lambda_result = {"generalErrors": [{"code": "[blocked]", "message": "Not from there."}], "fieldErrors": {}}
    reason = {"code": "lambdaValidation", "lambdaId": str(uuid4()), "lambdaResult": lambda_result}
    return [probe.send(probe.event("user.login.failed", reason=reason), "by a lambda function")]


@CASES.accepts(
    "events.authentication-types",
    "The kinds of authentication are an open list, in mixed case.",
    "§6",
    f"{EVENTS}user/login/user-login-success",
)
def authentication_types(probe: Probe) -> Sequence[Exchange]:
    names = ("PING", "REFRESH_TOKEN", "SAMLv2", "WebAuthn", "EpicGames", "NotInventedYet")
    return [probe.send(probe.event("user.login.success", authenticationType=name), name) for name in names]


@CASES.accepts(
    "events.import-with-passwords",
    "An import may carry hashed passwords, salts and factors.",
    "§16",
    f"{ISSUES}410",
)
def import_with_passwords(probe: Probe) -> Sequence[Exchange]:
    event = probe.event("user.bulk.create")
    hashed = {"encryptionScheme": "salted-pbkdf2-hmac-sha256", "factor": 24_000, "password": "made-up", "salt": "c2Fs"}
    users = [user | hashed for user in event["users"]]
    return [probe.send(event | {"users": users}, "with hashed passwords")]


@CASES.accepts(
    "events.complete-first",
    "On logins through an identity provider X.complete may come before X.",
    "§7, §15",
    f"{ISSUES}2233",
)
def complete_first(probe: Probe) -> Sequence[Exchange]:
    return [probe.send(probe.event(name), "out of order") for name in ("user.create.complete", "user.create")]


@CASES.accepts(
    "events.old-instants", "An event may be much older than its delivery, or newer than our clock.", "§5", EVENT_LOG_API
)
def old_instants(probe: Probe) -> Sequence[Exchange]:
    now = int(probe.event()["createInstant"])
    ages = {"a year old": now - 31_536_000_000, "a minute early": now + 60_000, "from 1970": 0}
    return [probe.send(probe.event(createInstant=instant), name) for name, instant in ages.items()]


@CASES.accepts(
    "events.other-tenant",
    "A global webhook gets the events of every tenant.",
    "§8",
    WEBHOOKS,
    level=Level.ODD,
)
def other_tenant(probe: Probe) -> Sequence[Exchange]:
    return [probe.send(probe.event(tenantId=str(uuid4())), "of another tenant")]
