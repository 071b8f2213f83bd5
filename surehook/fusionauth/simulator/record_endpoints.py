"""The API's requests for webhooks and tenants."""

from collections.abc import Callable, Mapping
from typing import Any

from starlette.responses import JSONResponse, Response

from surehook.fusionauth.simulator.api_call import ApiCall, page_of
from surehook.fusionauth.simulator.records import InvalidRequest, Json, is_uuid, merged


def webhooks(call: ApiCall) -> Response:
    if call.request.method == "GET":
        return JSONResponse({"webhooks": list(call.instance.webhooks.values())})
    return JSONResponse({"webhook": call.instance.save_webhook(call.part("webhook"))})


def search_webhooks(call: ApiCall) -> Response:
    """By description, url and tenantId, which finds that tenant's webhooks and all global ones (FACTS §16)."""
    criteria = call.criteria()
    found = [
        hook
        for hook in call.instance.webhooks.values()
        if str(criteria.get("description") or "").lower() in str(hook.get("description") or "").lower()
        and str(criteria.get("url") or "").lower() in hook["url"].lower()
        and (not criteria.get("tenantId") or hook["global"] or criteria["tenantId"] in hook["tenantIds"])
    ]
    return page_of(call, "webhooks", found)


def webhook(call: ApiCall) -> Response:
    found = call.instance.webhooks.get(call.record_id)
    return _record(
        call,
        name="webhook",
        found=found,
        save=call.instance.save_webhook,
        delete=lambda: call.instance.webhooks.pop(call.record_id),
    )


def tenants(call: ApiCall) -> Response:
    if call.request.method == "GET":
        only = call.tenant_id
        shown = [tenant for key, tenant in call.instance.tenants.items() if only in (None, key)]
        return JSONResponse({"tenants": shown})
    if call.tenant_id is not None:
        return Response(status_code=401)
    return JSONResponse({"tenant": call.instance.save_tenant(call.part("tenant"))})


def search_tenants(call: ApiCall) -> Response:
    name = str(call.criteria().get("name") or "").lower()
    only = call.tenant_id
    shown = [each for key, each in call.instance.tenants.items() if only in (None, key)]
    return page_of(call, "tenants", [each for each in shown if name in str(each.get("name") or "").lower()])


def tenant(call: ApiCall) -> Response:
    tenant_id = call.record_id
    if call.tenant_id not in (None, tenant_id):
        return Response(status_code=401)
    return _record(
        call,
        name="tenant",
        found=call.instance.tenants.get(tenant_id),
        save=call.instance.save_tenant,
        delete=lambda: call.instance.tenants.pop(tenant_id),
    )


def _record(
    call: ApiCall,
    *,
    name: str,
    found: Json | None,
    save: Callable[[Mapping[str, Any], str | None], Json],
    delete: Callable[[], Any],
) -> Response:
    """Reads, creates under a given id, replaces, changes or deletes one record."""
    record_id = call.record_id
    if call.request.method == "POST":
        if found is not None or not is_uuid(record_id):
            raise InvalidRequest(("[duplicate]" if found else "[invalid]", f"{name}Id", "The id cannot be used."))
        return JSONResponse({name: save(call.part(name), record_id)})
    if found is None:
        return Response(status_code=404)
    if call.request.method == "DELETE":
        delete()
        return Response()
    if call.request.method in ("PUT", "PATCH"):
        given = call.part(name)
        found = save(given if call.request.method == "PUT" else merged(found, given), record_id)
    return JSONResponse({name: found})
