"""Compares a goal with what FusionAuth has: the steps to take, and the way back."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from surehook.fusionauth.client import FusionAuthClient
from surehook.fusionauth.connection.goal import Goal, headers_of
from surehook.fusionauth.connection.signing_key import signing_steps
from surehook.fusionauth.connection.steps import HIDDEN, Outcome, Step
from surehook.fusionauth.credentials import accepts
from surehook.fusionauth.doctor.access import Installation, Json
from surehook.fusionauth.doctor.endpoint import shown_url
from surehook.fusionauth.shapes import WEBHOOK
from surehook.fusionauth.webhooks import tenant_enables, tenant_events
from surehook.shared.event_types import EVENT_TYPES
from surehook.shared.plural import counted
from surehook.shared.settings import Settings

LOG = "/api/system-configuration"
STAMPS = ("id", "insertInstant", "lastUpdateInstant")
STRICT = "AbsoluteMajority"


@dataclass
class Plan:
    """The steps, in their order; none if all is as it should be."""

    steps: list[Step]
    outcome: Outcome = field(default_factory=Outcome)

    def apply(self, client: FusionAuthClient) -> None:
        """Takes the steps; `outcome` says what was done, also after an error.

        Raises:
            FusionAuthError: a step failed. Another run goes on from there.
        """
        for step in self.steps:
            step.take(client, self.outcome)


def plan_for(settings: Settings, goal: Goal, found: Installation) -> Plan:
    hook = found.ours[0] if found.ours else None
    signing = signing_steps(settings, found, hook)
    return Plan(
        [*signing, *_webhook(settings, goal, hook, is_signed=bool(signing)), *_tenants(goal, found), *_log(found)]
    )


def _webhook(settings: Settings, goal: Goal, hook: Json | None, *, is_signed: bool) -> list[Step]:
    types = dict.fromkeys(sorted(goal.types), True)
    if hook is None:
        body: dict[str, Any] = {
            "url": goal.url,
            "description": "Surehook",
            "connectTimeout": goal.connect_ms,
            "readTimeout": goal.read_ms,
            "global": not goal.tenant_ids,
            "tenantIds": list(goal.tenant_ids),
            "eventsEnabled": types,
            "headers": headers_of(settings, {}),
        }
        where = counted(len(goal.tenant_ids), "tenant", "tenants") if goal.tenant_ids else "all tenants"
        kinds = counted(len(types), "event type", "event types")
        text = f"create a webhook to {shown_url(goal.url)} for {where} and {kinds}"

        def create(client: FusionAuthClient, outcome: Outcome) -> None:
            made = client.create("/api/webhook", "webhook", body | outcome.signature, WEBHOOK)
            outcome.webhook_id = str(made["id"])
            outcome.add_undo(f"DELETE /api/webhook/{made['id']}")

        return [Step(text, create)]
    changes, texts = _changes(settings, goal, hook, types)
    if not changes and not is_signed:
        return []
    if is_signed:
        texts.append("sign with that key")
    path, before = f"/api/webhook/{hook['id']}", {name: hook.get(name) for name in changes}

    def change(client: FusionAuthClient, outcome: Outcome) -> None:
        # The whole record: where a part of one is sent, an older header would stay beside the new one.
        record = {name: value for name, value in hook.items() if name not in STAMPS} | changes | outcome.signature
        client.send("PUT", path, {"webhook": {name: value for name, value in record.items() if value is not None}})
        outcome.webhook_id = str(hook["id"])
        undone = _without_secrets(
            before | ({"signatureConfiguration": hook.get("signatureConfiguration")} if is_signed else {})
        )
        outcome.add_undo(f"PATCH {path} {json.dumps({'webhook': undone})}")

    return [Step(f"change the webhook to {shown_url(str(hook.get('url')))}: {'; '.join(texts)}", change)]


def _changes(settings: Settings, goal: Goal, hook: Json, types: Mapping[str, bool]) -> tuple[dict[str, Any], list[str]]:
    changes: dict[str, Any] = {}
    texts: list[str] = []
    if str(hook.get("url")) != goal.url:
        changes["url"] = goal.url
        texts.append(f"its URL becomes {shown_url(goal.url)}")
    enabled = hook.get("eventsEnabled") or {}
    if missing := {name: True for name in types if not enabled.get(name)}:
        changes["eventsEnabled"] = {**enabled, **missing}
        texts.append(f"switch on {', '.join(missing)}")
    if not accepts(settings, hook):
        changes["headers"] = headers_of(settings, hook.get("headers") or {})
        if hook.get("httpAuthenticationUsername"):
            changes |= {"httpAuthenticationUsername": None, "httpAuthenticationPassword": None}
        texts.append("send a credential that the endpoint accepts")
    bound = set(hook.get("tenantIds") or ())
    if not hook.get("global") and goal.tenant_ids and set(goal.tenant_ids) - bound:
        changes["tenantIds"] = sorted(bound | set(goal.tenant_ids))
        texts.append("bind it to the tenants")
    if not hook.get("global") and not goal.tenant_ids and not bound:
        changes["global"] = True
        texts.append("send it the events of all tenants")
    needed_ms = int(settings.transaction_timeout * 1000) + 300 if goal.listed.entries else 0
    if int(hook.get("readTimeout") or 0) < max(needed_ms, goal.read_ms):
        changes["readTimeout"] = max(needed_ms, goal.read_ms)
        texts.append(f"wait {changes['readTimeout']} ms for a response")
    return changes, texts


def _tenants(goal: Goal, found: Installation) -> list[Step]:
    steps = []
    for tenant_id in goal.tenant_ids or found.tenants:
        tenant = found.tenants[tenant_id]
        events = tenant_events(tenant)
        changes: dict[str, dict[str, Any]] = {}
        for name in sorted(goal.types):
            if EVENT_TYPES[name].scope != "tenant":
                continue
            setting = (events.get(name) or {}).get("transactionType") or "None"
            wanted = STRICT if goal.listed.include(name, tenant_id) and setting == "None" else setting
            if not tenant_enables(tenant, name) or wanted != setting:
                changes[name] = {"enabled": True, "transactionType": wanted}
        if changes:
            before = {name: events.get(name) or {"enabled": False, "transactionType": "None"} for name in changes}
            strict = [
                name
                for name, entry in changes.items()
                if entry["transactionType"] == STRICT != before[name].get("transactionType")
            ]
            waits = f", and let FusionAuth wait for {', '.join(strict)} ({STRICT})" if strict else ""
            text = f"tenant {found.tenant_name(tenant_id)}: switch on {', '.join(changes)}{waits}"
            steps.append(_patch(text, f"/api/tenant/{tenant_id}", _events(changes), _events(before)))
    return steps


def _events(events: Mapping[str, Any]) -> dict[str, Any]:
    return {"tenant": {"eventConfiguration": {"events": dict(events)}}}


def _log(found: Installation) -> list[Step]:
    log = found.configuration.get("webhookEventLogConfiguration") or {}
    if log.get("enabled", True):
        return []
    body, before = (
        {"systemConfiguration": {"webhookEventLogConfiguration": {"enabled": is_on}}} for is_on in (True, False)
    )
    return [_patch("switch the Webhook Event Log on", LOG, body, before)]


def _patch(text: str, path: str, body: Mapping[str, Any], before: Mapping[str, Any]) -> Step:
    def patch(client: FusionAuthClient, outcome: Outcome) -> None:
        client.send("PATCH", path, body)
        outcome.add_undo(f"PATCH {path} {json.dumps(before)}")

    return Step(text, patch)


def _without_secrets(before: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a webhook's fields for a person: the way back names secrets, and does not show them."""
    shown = dict(before)
    if "headers" in shown:
        shown["headers"] = dict.fromkeys(shown["headers"] or {}, HIDDEN)
    if "url" in shown:
        shown["url"] = shown_url(str(shown["url"]))
    if shown.get("httpAuthenticationPassword"):
        shown["httpAuthenticationPassword"] = HIDDEN
    return shown
