"""The objects that sample events are built of: a user, a group, an entity, tokens.

All samples use the same few objects, so that a field means the same thing in each. `now` is in epoch
milliseconds, and every instant is relative to it.
"""

import json
from base64 import urlsafe_b64encode
from typing import Any
from uuid import UUID

SAMPLE_USER_ID = UUID("2c8a54f1-6d0e-4b39-8f57-1b9e0c7a3d42")

TENANT_ID = "b2d95e10-7c4f-4a63-9e28-51f0c6a8d374"
APPLICATION_ID = "e40a7f8b-15c6-4d92-b03d-c9726a1f5e08"
INSTANCE_ID = "0c83d6f2-a9e7-41b5-8d14-f7325b60c9ae"
IDENTITY_PROVIDER_ID = "95b7e31d-2f60-4c8a-a1d9-806e4f7c52b3"
MODERATOR_ID = "37ea60c9-84d2-4b1f-b5a6-f10d93e2874c"
CONNECTOR_ID = "5a08f4d7-6e12-49cb-83f0-d2b97c415e6a"
IP_ADDRESS = "203.0.113.24"

EMAIL = "mirela.tanase@example.com"
FORMER_EMAIL = "mirela.popa@example.com"
USERNAME = "mirela"
PHONE_NUMBER = "+12025550143"

_OTHER_USER_ID = "d17b8e46-0a3c-4f59-92e1-6b8405cfa72d"
_REGISTRATION_ID = "c8267b91-e5f3-4d0a-b964-13a7d8e05f2c"
_TWO_FACTOR_ID = "K7QX"
_DAY_MS = 86_400_000


def info() -> dict[str, Any]:
    return {
        "ipAddress": IP_ADDRESS,
        "userAgent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    }


def user(now: int) -> dict[str, Any]:
    return {
        "active": True,
        "birthDate": "1991-11-23",
        "connectorId": CONNECTOR_ID,
        "data": {"plan": "garden", "newsletter": True},
        "email": EMAIL,
        "firstName": "Mirela",
        "id": str(SAMPLE_USER_ID),
        "identities": [identity(now)],
        "insertInstant": now - 40 * _DAY_MS,
        "lastLoginInstant": now - _DAY_MS,
        "lastName": "Tanase",
        "lastUpdateInstant": now,
        "memberships": [],
        "passwordChangeRequired": False,
        "passwordLastUpdateInstant": now - 40 * _DAY_MS,
        "preferredLanguages": ["ro", "en"],
        "registrations": [registration(now)],
        "tenantId": TENANT_ID,
        "timezone": "Europe/Bucharest",
        "twoFactor": {"methods": [two_factor_method()], "recoveryCodes": []},
        "username": USERNAME,
        "usernameStatus": "ACTIVE",
        "verified": True,
        "verifiedInstant": now - 39 * _DAY_MS,
    }


def new_user(now: int) -> dict[str, Any]:
    """Returns a new user: never logged in, without registrations, not verified."""
    born = {"insertInstant": now, "passwordLastUpdateInstant": now, "registrations": [], "verified": False}
    unproven = {
        "insertInstant": now,
        "lastUpdateInstant": now,
        "verified": False,
        "verifiedReason": "Pending",
    }
    fresh = (
        user(now) | born | {"identities": [_without(identity(now) | unproven, "lastLoginInstant", "verifiedInstant")]}
    )
    return _without(fresh | {"twoFactor": {}}, "lastLoginInstant", "verifiedInstant")


def former_user(now: int) -> dict[str, Any]:
    """The same person before a change of name and address."""
    before = {"email": FORMER_EMAIL, "lastName": "Popa", "lastUpdateInstant": now - _DAY_MS}
    return user(now) | before | {"identities": [identity(now, FORMER_EMAIL)]}


def inactive_user(now: int) -> dict[str, Any]:
    return user(now) | {"active": False}


def breached_user(now: int) -> dict[str, Any]:
    checked = {"breachedPasswordLastCheckedInstant": now, "breachedPasswordStatus": "ExactMatch"}
    return user(now) | checked | {"passwordChangeReason": "Breached", "passwordChangeRequired": True}


def other_user(now: int) -> dict[str, Any]:
    email = "matei.ionescu@example.com"
    name = {"email": email, "firstName": "Matei", "lastName": "Ionescu", "username": "matei"}
    bare = {"identities": [identity(now, email)], "registrations": [], "twoFactor": {}}
    return user(now) | name | bare | {"id": _OTHER_USER_ID}


def conflicting_user(now: int) -> dict[str, Any]:
    """Another user, who already has the sample user's address."""
    return other_user(now) | {"email": EMAIL, "identities": [identity(now)]}


def identity(now: int, email: str = EMAIL) -> dict[str, Any]:
    return {
        "displayValue": email,
        "insertInstant": now - 40 * _DAY_MS,
        "lastLoginInstant": now - _DAY_MS,
        "lastUpdateInstant": now - 39 * _DAY_MS,
        "moderationStatus": "ACTIVE",
        "primary": True,
        "type": "email",
        "value": email,
        "verified": True,
        "verifiedInstant": now - 39 * _DAY_MS,
        "verifiedReason": "Completed",
    }


def registration(now: int) -> dict[str, Any]:
    return {
        "applicationId": APPLICATION_ID,
        "data": {"source": "spring fair"},
        "id": _REGISTRATION_ID,
        "insertInstant": now - 38 * _DAY_MS,
        "lastLoginInstant": now - _DAY_MS,
        "lastUpdateInstant": now,
        "preferredLanguages": [],
        "roles": ["editor", "reader"],
        "tokens": {},
        "usernameStatus": "ACTIVE",
        "verified": True,
    }


def former_registration(now: int) -> dict[str, Any]:
    return registration(now) | {"lastUpdateInstant": now - 38 * _DAY_MS, "roles": ["reader"]}


def two_factor_method() -> dict[str, Any]:
    return {"id": _TWO_FACTOR_ID, "lastUsed": True, "method": "sms", "mobilePhone": PHONE_NUMBER}


def identity_provider_link(now: int) -> dict[str, Any]:
    return {
        "displayName": "Orchard Staff Directory",
        "identityProviderId": IDENTITY_PROVIDER_ID,
        "identityProviderName": "Orchard Staff Directory",
        "identityProviderType": "SAMLv2",
        "identityProviderUserId": "staff-20817",
        "insertInstant": now,
        "lastLoginInstant": now,
        "tenantId": TENANT_ID,
        "userId": str(SAMPLE_USER_ID),
    }


def group(now: int) -> dict[str, Any]:
    return {
        "data": {"floor": 3},
        "id": "42f5c0ea-b816-4d7f-a39c-70e2d61b9f58",
        "insertInstant": now - 12 * _DAY_MS,
        "lastUpdateInstant": now,
        "name": "Night shift",
        "roles": {},
        "tenantId": TENANT_ID,
    }


def former_group(now: int) -> dict[str, Any]:
    return group(now) | {"lastUpdateInstant": now - 12 * _DAY_MS, "name": "Late shift"}


def members(now: int) -> list[dict[str, Any]]:
    return [
        {"data": {}, "id": member_id, "insertInstant": now, "userId": user_id}
        for member_id, user_id in (
            ("1d94b7a3-5f08-42e6-8c7b-e60a31f9d245", str(SAMPLE_USER_ID)),
            ("ae0586d1-c37f-4982-b41e-95d72fc80b63", _OTHER_USER_ID),
        )
    ]


def entity(now: int) -> dict[str, Any]:
    entity_id = "f96d3b28-40e1-4c57-9ab2-8d05e7c1f643"
    return {
        "clientId": entity_id,
        "data": {"plot": "north"},
        "id": entity_id,
        "insertInstant": now - 5 * _DAY_MS,
        "lastUpdateInstant": now,
        "name": "Greenhouse four",
        "tenantId": TENANT_ID,
        "type": _entity_type(now),
    }


def former_entity(now: int) -> dict[str, Any]:
    return entity(now) | {"lastUpdateInstant": now - 5 * _DAY_MS, "name": "Greenhouse"}


def _entity_type(now: int) -> dict[str, Any]:
    dated = {"data": {}, "insertInstant": now - 90 * _DAY_MS, "lastUpdateInstant": now - 90 * _DAY_MS}
    permission = {"id": "7be21c4f-d905-4368-a0f7-3c18b5e96d02", "isDefault": True, "name": "OPEN_WINDOWS"}
    return dated | {
        "id": "80c7a5e9-1b64-4f2d-bd38-e4f290a6715c",
        "jwtConfiguration": {"enabled": False, "timeToLiveInSeconds": 0},
        "name": "Greenhouse",
        "permissions": [dated | permission],
    }


def access_token(issued_at: int) -> str:
    """Returns a token that parses but whose signature is invalid."""
    claims = {
        "aud": APPLICATION_ID,
        "exp": issued_at // 1000 + 3600,
        "iat": issued_at // 1000,
        "iss": "login.example.com",
        "sub": str(SAMPLE_USER_ID),
    }
    parts = (json.dumps({"alg": "HS256", "typ": "JWT"}), json.dumps(claims), "no signature")
    return ".".join(urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in parts)


def _without(fields: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in names}
