"""Checks and completes what the API saves: webhooks and tenants (FACTS §8, §9 and §16)."""

from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from surehook.fusionauth.transaction_setting import SETTINGS
from surehook.shared.event_types import EVENT_TYPES

Json = dict[str, Any]

WEBHOOK_FIELDS = frozenset(
    (
        "connectTimeout",
        "data",
        "description",
        "eventsEnabled",
        "global",
        "headers",
        "httpAuthenticationPassword",
        "httpAuthenticationUsername",
        "readTimeout",
        "signatureConfiguration",
        "sslCertificate",
        "sslCertificateKeyId",
        "tenantIds",
        "url",
    )
)


class InvalidRequest(Exception):
    """The API refuses a request with 400; each error is a code, a field or "" and a message."""

    def __init__(self, *errors: tuple[str, str, str]) -> None:
        super().__init__(", ".join(code for code, _, _ in errors))
        self.errors = errors

    def as_json(self) -> Json:
        # Two lists, as the published OpenAPI has it.
        field_errors = [{"code": f"{code}{field}", "message": text} for code, field, text in self.errors if field]
        general = [{"code": code, "message": text} for code, field, text in self.errors if not field]
        return {"fieldErrors": field_errors, "generalErrors": general}


def checked_webhook(given: Mapping[str, Any], *, tenants: Collection[str], keys: Collection[str]) -> Json:
    """Returns a webhook as it is saved, without id and instants.

    Raises:
        InvalidRequest: a field is missing or odd.
    """
    errors = [*_url_errors(given), *_timeout_errors(given), *_type_errors(given.get("eventsEnabled") or {})]
    errors += [
        ("[invalid]", "webhook.tenantIds", f"There is no tenant {tenant}.")
        for tenant in given.get("tenantIds") or ()
        if tenant not in tenants
    ]
    signature = dict(given.get("signatureConfiguration") or {"enabled": False})
    if signature.get("enabled") and signature.get("signingKeyId") not in keys:
        errors.append(("[invalid]", "webhook.signatureConfiguration.signingKeyId", "There is no such key."))
    if errors:
        raise InvalidRequest(*errors)
    saved = {name: value for name, value in given.items() if name in WEBHOOK_FIELDS and value is not None}
    defaults = {"data": {}, "eventsEnabled": {}, "global": False, "headers": {}, "tenantIds": []}
    return {**defaults, **saved, "signatureConfiguration": signature}


def _url_errors(given: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    url = given.get("url")
    if not url:
        return [("[blank]", "webhook.url", "You must specify the [webhook.url] property.")]
    parts = urlsplit(str(url))
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return [("[invalid]", "webhook.url", "The URL must be an absolute http or https URL.")]
    return []


def _timeout_errors(given: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    return [
        ("[missing]", f"webhook.{name}", f"You must specify the [webhook.{name}] property, in milliseconds.")
        for name in ("connectTimeout", "readTimeout")
        if not isinstance(given.get(name), int) or given[name] <= 0
    ]


def _type_errors(types: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """A type that this version does not know is refused (FACTS §8)."""
    return [
        ("[invalidJSON]", "webhook.eventsEnabled", f"There is no event type {name}.")
        for name in types
        if name not in EVENT_TYPES
    ]


def normalised_tenant(given: Mapping[str, Any]) -> Json:
    """Returns a tenant as it is saved, without id and instants.

    Types that are not transactional lose their setting, and events of the instance are dropped (FACTS §16).

    Raises:
        InvalidRequest: a type or a setting is unknown.
    """
    events = (given.get("eventConfiguration") or {}).get("events") or {}
    unknown = [name for name in events if name not in EVENT_TYPES]
    odd = [name for name, entry in events.items() if (entry.get("transactionType") or "None") not in SETTINGS]
    if unknown or odd:
        raise InvalidRequest(
            *(("[invalidJSON]", "tenant.eventConfiguration.events", f"Odd entry: {name}.") for name in unknown + odd)
        )
    kept = {
        name: {
            "enabled": bool(entry.get("enabled")),
            "transactionType": (entry.get("transactionType") or "None")
            if EVENT_TYPES[name].is_transactional
            else "None",
        }
        for name, entry in events.items()
        if EVENT_TYPES[name].scope == "tenant"
    }
    return {**given, "eventConfiguration": {"events": kept}}


def merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> Json:
    """Returns an object changed by a PATCH: objects are merged, everything else is replaced (RFC 7396)."""
    result = dict(old)
    for name, value in new.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, Mapping) and isinstance(result.get(name), Mapping):
            result[name] = merged(result[name], value)
        else:
            result[name] = value
    return result


def is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
