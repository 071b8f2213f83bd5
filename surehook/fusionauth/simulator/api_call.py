"""One request to the simulated API, after its API key was checked."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from surehook.fusionauth.simulator.instance import Instance
from surehook.fusionauth.simulator.records import InvalidRequest, Json

MAX_BODY_BYTES = 1 << 20
DEFAULT_PAGE = 25


@dataclass(frozen=True, slots=True)
class ApiCall:
    """`tenant_id` is the tenant that the request is limited to, by its key or its header."""

    instance: Instance
    request: Request
    body: Json
    tenant_id: str | None = None

    @property
    def record_id(self) -> str:
        return str(self.request.path_params["id"])

    def part(self, name: str) -> Json:
        """Returns an object of the body.

        Raises:
            InvalidRequest: it is not there.
        """
        part = self.body.get(name)
        if not isinstance(part, dict):
            raise InvalidRequest(("[missing]", name, f"You must specify the [{name}] property."))
        return part

    def criteria(self) -> Mapping[str, Any]:
        """Returns the criteria of a search: the query of a GET, `search` in the body of a POST."""
        return dict(self.request.query_params) if self.request.method == "GET" else self.part("search")


Handler = Callable[[ApiCall], Response]


def number(criteria: Mapping[str, Any], name: str, default: int) -> int:
    """Reads a number of a search.

    Raises:
        InvalidRequest: it is none.
    """
    try:
        return int(criteria.get(name) or default)
    except (TypeError, ValueError):
        raise InvalidRequest(("[invalid]", f"search.{name}", "Expected a number.")) from None


def page_of(call: ApiCall, name: str, found: Sequence[Json]) -> Response:
    """Returns the page of a search that was asked for, with the number of all records found."""
    criteria = call.criteria()
    start, rows = number(criteria, "startRow", 0), number(criteria, "numberOfResults", DEFAULT_PAGE)
    return JSONResponse({"total": len(found), name: found[start : start + rows]})


async def json_body(request: Request) -> Json:
    """Reads the body of a request.

    Raises:
        InvalidRequest: it is too large, or no JSON object.
    """
    body = await request.body()
    if len(body) > MAX_BODY_BYTES:
        raise InvalidRequest(("[tooLarge]", "", "The request is too large."))
    try:
        found = json.loads(body or b"{}")
    except ValueError:
        raise InvalidRequest(("[invalidJSON]", "", "Invalid JSON in the request body.")) from None
    if not isinstance(found, dict):
        raise InvalidRequest(("[invalidJSON]", "", "The request body must be an object."))
    return found
