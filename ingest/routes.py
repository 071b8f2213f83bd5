"""The paths of the endpoint, and what is reported of a request to another path or with another method."""

from urllib.parse import quote

from starlette.requests import Request

MAX_PATH_CHARACTERS = 100


def spellings(path: str) -> tuple[str, ...]:
    """The path with and without a slash at its end: which of them FusionAuth was given is easily overlooked."""
    other = path.removesuffix("/") if path.endswith("/") else f"{path}/"
    return (path, other) if other else (path,)


def facts_of(request: Request) -> dict[str, str]:
    """The method and the path of a request for the log: shortened, without query and in printable ASCII."""
    return {"method": request.method, "path": quote(request.scope["path"][:MAX_PATH_CHARACTERS], safe="/")}
