"""The parts of FusionAuth's records that are read here, and their types. A part may be missing or null."""

from collections.abc import Mapping
from typing import Any

from surehook.fusionauth.transport import FusionAuthError

Json = dict[str, Any]
NAMES = {dict: "an object", list: "a list", str: "a text", int: "a number", bool: "true or false"}
ANY = "*"  # every name of an object

WEBHOOK: Json = {
    "id": str,
    "url": str,
    "connectTimeout": int,
    "readTimeout": int,
    "insertInstant": int,
    "tenantIds": [str],
    "headers": {ANY: str},
    "httpAuthenticationUsername": str,
    "httpAuthenticationPassword": str,
    "eventsEnabled": {ANY: bool},
    "signatureConfiguration": {"enabled": bool, "signingKeyId": str},
}
TENANT: Json = {
    "id": str,
    "name": str,
    "eventConfiguration": {"events": {ANY: {"enabled": bool, "transactionType": str}}},
}
KEY: Json = {"id": str, "kid": str, "name": str, "type": str, "expirationInstant": int, "publicKey": str}
CONFIGURATION: Json = {
    "webhookEventLogConfiguration": {"enabled": bool, "delete": {"enabled": bool, "numberOfDaysToRetain": int}}
}
INTEGRATIONS: Json = {"kafka": {"enabled": bool}}


def require_shape(value: Any, shape: Any, where: str) -> None:
    """
    Raises:
        FusionAuthError: a part has another type. The text names the part, and not its value, which may be a secret.
    """
    if value is None:
        return
    expected: type = shape if isinstance(shape, type) else type(shape)
    if not isinstance(value, expected) or (expected is int and isinstance(value, bool)):
        raise FusionAuthError(
            f"FusionAuth's answer is not as documented: {where} is {NAMES.get(type(value), 'odd')} instead of "
            f"{NAMES[expected]}. Correct the record there, or see whether a proxy changes answers"
        )
    if isinstance(shape, list) and isinstance(value, list):
        for each in value:
            require_shape(each, shape[0], where)
    if isinstance(shape, dict) and isinstance(value, dict):
        for name, part in value.items():
            if (expected_part := shape.get(name, shape.get(ANY))) is not None:
                require_shape(part, expected_part, f"{where}.{name}")


def object_in(record: Mapping[str, Any], name: str) -> Json:
    """Returns a part of an entry of the event log; anything but an object counts as none."""
    part = record.get(name)
    return part if isinstance(part, dict) else {}


def objects_in(record: Mapping[str, Any], name: str) -> list[Json]:
    """Returns the objects of a list in an entry of the event log."""
    parts = record.get(name)
    return [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
