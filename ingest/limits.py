"""Limits of one process: requests, bytes of their bodies, connections.

Beyond a limit the response is 503, sent before anything is read or kept, so that a flood does not harm the requests
already accepted.
"""

import resource
from typing import Literal

from surehook.ingest import responses
from surehook.ingest.responses import Refusal
from surehook.shared.settings import Settings

LimitName = Literal["too_many_pending", "too_many_bytes", "too_many_connections"]
# Includes idle connections: a client with keep-alive has one for each of its requests, and other clients need some too.
CONNECTIONS_PER_REQUEST = 2
OTHER_FILES = 100  # the store's connection, the metrics', logs, modules


class Limits:
    """Counts requests, body bytes and connections in use, and refuses requests beyond the limits."""

    def __init__(self, settings: Settings) -> None:
        self._max_pending = settings.max_pending
        self._max_body_bytes = settings.max_body_bytes_in_flight
        self.max_connections = settings.max_pending * CONNECTIONS_PER_REQUEST
        self.pending = 0
        self.body_bytes = 0
        self.connections = 0
        self.handshakes = 0  # connections whose TLS handshake has not finished

    def reserve(self, body_bytes: int = 0) -> "Reservation":
        """Reserve room for a request and its body; the reservation must be released.

        Raises:
            Refusal: a limit is reached.
        """
        if self.pending >= self._max_pending:
            raise _refusal("too_many_pending")
        self.reserve_bytes(body_bytes)
        self.pending += 1
        return Reservation(self, body_bytes)

    def reserve_bytes(self, count: int) -> None:
        if self.body_bytes + count > self._max_body_bytes:
            raise _refusal("too_many_bytes")
        self.body_bytes += count

    def fit_to_file_limit(self) -> None:
        """Raise the soft limit of open files as far as needed, and allow no more connections than it permits."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = self.max_connections + OTHER_FILES
        if hard != resource.RLIM_INFINITY:
            wanted = min(wanted, hard)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
        if soft != resource.RLIM_INFINITY:
            self.max_connections = max(1, min(self.max_connections, soft - OTHER_FILES))


class Reservation:
    """The room reserved for one request: the larger of its announced and its received body bytes."""

    __slots__ = ("_bytes", "_limits")

    def __init__(self, limits: Limits, body_bytes: int) -> None:
        self._limits = limits
        self._bytes = body_bytes

    def grow_to(self, count: int) -> None:
        """
        Raises:
            Refusal: all bodies together exceed the limit.
        """
        if count > self._bytes:
            self._limits.reserve_bytes(count - self._bytes)
            self._bytes = count

    def release(self) -> None:
        self._limits.pending -= 1
        self._limits.body_bytes -= self._bytes


def _refusal(limit: LimitName) -> Refusal:
    return Refusal(responses.UNAVAILABLE, limit)
