"""Limits of a request's head, and what HTTP demands of it beyond the parser's own checks (RFC 9110, RFC 9112)."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from surehook.ingest import responses
from surehook.ingest.responses import Response

# A header costs ten times its size in memory if it is small, so both are limited. Trailers count as headers.
MAX_HEADERS = 100
MAX_HEAD_BYTES = 16 * 1024
HEADER_OVERHEAD_BYTES = 4  # colon, blank and line end
VERSIONS = frozenset(("1.0", "1.1"))
# Which of two values counts, a proxy may see differently.
SINGLE_HEADERS = frozenset((b"host", b"content-type", b"content-encoding", b"content-length", b"transfer-encoding"))
_HOST = re.compile(  # RFC 3986, section 3.2.2: a name, an IPv4 address, or others in brackets; then a port
    rb"(?:\[[0-9A-Za-z:.~_!$&'()*+,;=-]+\]|(?:[0-9A-Za-z.~_!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*+)(?::[0-9]*)?"
)

BLANKS = b" \t"
CACHED_HOSTS = 64

HeaderList = Sequence[tuple[bytes, bytes]]


class Rejected(Exception):
    """The request breaks HTTP's rules or a limit. `reason` becomes a label of the metric.

    Raised in the parser's callbacks: an exception is the only way to stop it.
    """

    def __init__(self, response: Response = responses.NOT_HTTP, reason: str = "not_http") -> None:
        super().__init__(reason)
        self.response = response
        self.reason = reason


def check_head(version: str, headers: HeaderList, fields: Mapping[bytes, bytes]) -> None:
    """Check the headers; `fields` has the last of each name.

    Raises:
        Rejected: carries the response to send.
    """
    if version not in VERSIONS:
        raise Rejected(responses.VERSION_NOT_SUPPORTED)
    if len(fields) != len(headers):
        _check_repeated(headers)
    host = fields.get(b"host")
    if version == "1.1" if host is None else not is_host(host):
        raise Rejected(responses.BAD_HOST)
    coding = fields.get(b"transfer-encoding")
    if coding is not None and coding.rstrip(BLANKS).lower() != b"chunked":
        raise Rejected(responses.CODING_NOT_IMPLEMENTED)
    if coding is not None and version == "1.0":
        raise Rejected


@lru_cache(CACHED_HOSTS)
def is_host(value: bytes) -> bool:
    return _HOST.fullmatch(value.rstrip(BLANKS)) is not None


def check_size(url: bytes, headers: HeaderList) -> int:
    """Returns the size of a head.

    Raises:
        Rejected: it is too large.
    """
    size = len(url) + sum(len(name) + len(value) + HEADER_OVERHEAD_BYTES for name, value in headers)
    if size > MAX_HEAD_BYTES:
        raise headers_too_large()
    return size


def is_100_continue(expected: bytes) -> bool:
    return expected.rstrip(BLANKS).lower() == b"100-continue"


def headers_too_large() -> Rejected:
    return Rejected(responses.HEADERS_TOO_LARGE, "headers_too_large")


def _check_repeated(headers: HeaderList) -> None:
    """
    Raises:
        Rejected: Host is there twice, or another header that has one value has two.
    """
    seen: dict[bytes, bytes] = {}
    for name, value in headers:
        if name not in SINGLE_HEADERS:
            continue
        if name in seen and (name == b"host" or value.strip(BLANKS) != seen[name]):
            raise Rejected(responses.BAD_HOST if name == b"host" else responses.CONTRADICTORY_HEADERS)
        seen[name] = value.strip(BLANKS)
