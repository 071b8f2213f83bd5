"""Every response of the endpoint, in one table.

FusionAuth takes 200 to 299 as success and anything else as failure, and shows the `exception` field of a response in
its Webhook Event Log. 4xx: the delivery or the transaction is refused. 5xx: this side failed.
"""

import json
from dataclasses import dataclass

Headers = tuple[tuple[bytes, bytes], ...]
_RETRY_AFTER: Headers = ((b"retry-after", b"5"),)
# For responses sent before the body was read: the server does not wait for the rest of it.
_CLOSE: Headers = ((b"connection", b"close"),)


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response: a status, a JSON body, and headers other than Content-Type and Content-Length."""

    status: int
    body: bytes
    headers: Headers = ()

    @property
    def all_headers(self) -> Headers:
        """The headers, with Content-Type and Content-Length."""
        length = b"%d" % len(self.body)
        return ((b"content-type", b"application/json"), (b"content-length", length), *self.headers)

    @property
    def closes_connection(self) -> bool:
        """True if the connection closes after this response."""
        return self.headers == _CLOSE


class Refusal(Exception):
    """A delivery that is not accepted; `reason` becomes a label of the metric."""

    def __init__(self, response: Response, reason: str) -> None:
        super().__init__(reason)
        self.response = response
        self.reason = reason


def accepted(event_id: str) -> Response:
    return Response(202, b'{"status":"accepted","eventId":"%b"}' % event_id.encode())  # a UUID: nothing to escape


def duplicate(event_id: str) -> Response:
    return Response(200, b'{"status":"duplicate","eventId":"%b"}' % event_id.encode())


def completed(event_id: str) -> Response:
    return Response(200, b'{"status":"completed","eventId":"%b"}' % event_id.encode())


def rejected(message: str) -> Response:
    return _error(422, "[rejected]", message)


def malformed(message: str) -> Response:
    return _error(400, "[malformed]", message)


def too_slow(seconds: float) -> Response:
    return _error(400, "[malformed]", f"the body did not arrive within {seconds:g} seconds", _CLOSE)


def too_large(limit_bytes: int) -> Response:
    return _error(413, "[tooLarge]", f"the body is larger than {limit_bytes} bytes", _CLOSE)


def _json_response(status: int, content: object, headers: Headers = ()) -> Response:
    return Response(status, json.dumps(content, separators=(",", ":")).encode(), headers)


def _error(status: int, code: str, message: str = "", headers: Headers = ()) -> Response:
    error = {"code": code, "message": message} if message else {"code": code}
    return _json_response(status, {"errors": [error], "exception": f"{code} {message}".strip()}, headers)


NOT_AUTHORIZED = _error(401, "[notAuthorized]", headers=_CLOSE)
NOT_FOUND = _error(404, "[notFound]", headers=_CLOSE)
METHOD_NOT_ALLOWED = _error(405, "[methodNotAllowed]", headers=_CLOSE)
NOT_HTTP = _error(400, "[malformed]", "this is no HTTP request", _CLOSE)
BAD_HOST = _error(400, "[malformed]", "send one Host header with a host name", _CLOSE)
CONTRADICTORY_HEADERS = _error(400, "[malformed]", "a header is there twice, with different values", _CLOSE)
HEADERS_TOO_LARGE = _error(431, "[headersTooLarge]", "send at most 100 headers and 16 KiB of them", _CLOSE)
CODING_NOT_IMPLEMENTED = _error(501, "[notImplemented]", "the only transfer coding is chunked", _CLOSE)
VERSION_NOT_SUPPORTED = _error(505, "[versionNotSupported]", "send HTTP/1.1", _CLOSE)
UNSUPPORTED_MEDIA_TYPE = _error(415, "[unsupportedMediaType]", "send application/json, not compressed", _CLOSE)
UNAVAILABLE = _error(503, "[unavailable]", "the event may not have been stored", _RETRY_AFTER)
NO_WORKER = _error(503, "[unavailable]", "no worker is available", _RETRY_AFTER)
HANDLER_FAILED = _error(500, "[handlerFailed]", "a handler failed")
DEADLINE_EXCEEDED = _error(504, "[deadlineExceeded]", "the handlers did not decide in time")
ALIVE = _json_response(200, {"status": "alive"})
READY = _json_response(200, {"status": "ready"})
NOT_READY = _error(503, "[unavailable]", headers=_RETRY_AFTER)
INTERNAL_ERROR = _error(500, "[internalError]", headers=_CLOSE)
