"""The API's requests for keys, the configuration and the Webhook Event Log."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse, Response

from surehook.fusionauth.simulator.api_call import ApiCall, page_of
from surehook.fusionauth.simulator.event_log import search_from_json
from surehook.fusionauth.simulator.records import InvalidRequest, is_uuid, merged
from surehook.fusionauth.simulator.signing_keys import ALGORITHMS


def jwks(call: ApiCall) -> Response:
    published = (key.public_jwk() for key in list(call.instance.keys.values()))
    return JSONResponse({"keys": [key for key in published if key is not None]})


def public_key(call: ApiCall) -> Response:
    wanted = call.request.query_params.get("kid")
    public = {key.json["kid"]: key.json["publicKey"] for key in call.instance.keys.values() if key.secret is None}
    if wanted is None:
        return JSONResponse({"publicKeys": public})
    return JSONResponse({"publicKey": public[wanted]}) if wanted in public else Response(status_code=404)


def version(call: ApiCall) -> Response:
    return JSONResponse({"version": call.instance.version.text})


def keys(call: ApiCall) -> Response:
    return JSONResponse({"keys": [key.json for key in call.instance.keys.values()]})


def key(call: ApiCall) -> Response:
    found = call.instance.keys.get(call.record_id)
    if found is None:
        return Response(status_code=404)
    if call.request.method == "DELETE":
        del call.instance.keys[found.id]
        return Response()
    if call.request.method == "PUT":  # the name is all that can change
        name = str(call.part("key").get("name") or found.json["name"])
        found.json.update(name=name, lastUpdateInstant=call.instance.now_ms())
    return JSONResponse({"key": found.json})


def generate_key(call: ApiCall) -> Response:
    given = call.part("key")
    key = call.instance.add_key(_algorithm(given), name=str(given.get("name") or ""), key_id=_new_id(call))
    # The secret of a new key is shown once.
    return JSONResponse({"key": {**key.json, **({"secret": key.secret} if key.secret else {})}})


def import_key(call: ApiCall) -> Response:
    given = call.part("key")
    secret = given.get("secret")
    if not secret:
        raise InvalidRequest(("[blank]", "key.secret", "You must specify the [key.secret] property."))
    try:
        key = call.instance.add_key(
            _algorithm(given), name=str(given.get("name") or ""), secret=str(secret), key_id=_new_id(call)
        )
    except ValueError as exc:
        raise InvalidRequest(("[invalid]", "key.algorithm", str(exc))) from exc
    return JSONResponse({"key": key.json})


def search_keys(call: ApiCall) -> Response:
    criteria = call.criteria()
    wanted = {name: criteria[name] for name in ("algorithm", "type") if criteria.get(name)}
    name = str(criteria.get("name") or "").lower()
    shown = [key.json for key in call.instance.keys.values()]
    found = [each for each in shown if wanted.items() <= each.items() and name in str(each["name"]).lower()]
    return page_of(call, "keys", found)


def _new_id(call: ApiCall) -> str | None:
    """Returns the id that the path names for a new key."""
    key_id = call.request.path_params.get("id")
    if key_id is not None and (key_id in call.instance.keys or not is_uuid(key_id)):
        raise InvalidRequest(("[invalid]", "keyId", "The id cannot be used."))
    return key_id


def _algorithm(given: Mapping[str, Any]) -> str:
    algorithm = str(given.get("algorithm") or "")
    if algorithm not in ALGORITHMS:
        raise InvalidRequest(("[invalid]", "key.algorithm", f"One of {', '.join(ALGORITHMS)}."))
    return algorithm


def system_configuration(call: ApiCall) -> Response:
    if call.request.method != "GET":
        call.instance.configure(call.part("systemConfiguration"))
    return JSONResponse({"systemConfiguration": call.instance.system_configuration})


def integration(call: ApiCall) -> Response:
    if call.request.method != "GET":
        call.instance.integrations = merged(call.instance.integrations, call.part("integrations"))
    return JSONResponse({"integrations": call.instance.integrations})


def search_log(call: ApiCall) -> Response:
    if not call.instance.version.has_event_log:
        return Response(status_code=404)
    call.instance.delete_old_log_entries()
    try:
        search = search_from_json(call.criteria(), now_ms=call.instance.now_ms(), version=call.instance.version)
    except (TypeError, ValueError):
        raise InvalidRequest(("[invalid]", "search", "Instants and numbers must be integers.")) from None
    return JSONResponse(call.instance.log.search(search))


def log_entry(call: ApiCall) -> Response:
    found = call.instance.log.get(call.record_id)
    return JSONResponse({"webhookEventLog": found}) if found else Response(status_code=404)


def log_attempt(call: ApiCall) -> Response:
    found = call.instance.log.attempt(call.record_id)
    if found is None:
        return Response(status_code=404)
    return JSONResponse({"webhookAttemptLog": found} if call.instance.quirks.is_attempt_wrapped else found)
