"""Limits of one process: requests, bytes of their bodies, connections.

Past a bound the answer is 503, before anything is read or kept: a flood costs those who send it, not the events that
were let in.
"""

import resource
from typing import Literal

from surehook.ingest import responses
from surehook.ingest.responses import Refusal
from surehook.shared.settings import Settings

LimitName = Literal["too_many_pending", "too_many_bytes", "too_many_connections"]
# Idle ones included: a sender that keeps its connections has as many as requests, and others want one too.
CONNECTIONS_PER_REQUEST = 2
OTHER_FILES = 100  # the store's connection, the metrics', logs, modules


class Limits:
    """Counts what is in use, and refuses what exceeds the limits."""

    def __init__(self, settings: Settings) -> None:
        self._max_pending = settings.max_pending
        self._max_body_bytes = settings.max_body_bytes_in_flight
        self.max_connections = settings.max_pending * CONNECTIONS_PER_REQUEST
        self.pending = 0
        self.body_bytes = 0
        self.connections = 0

    def reserve(self, body_bytes: int = 0) -> "Reservation":
        """Reserve room for a request and its body; the reservation must be released.

        Raises:
            Refusal: there is none.
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
        """As many connections as the operating system allows files; its soft limit is raised as far as we need."""
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
    """The room of one request, and the size of its body, read or announced."""

    __slots__ = ("_bytes", "_limits")

    def __init__(self, limits: Limits, body_bytes: int) -> None:
        self._limits = limits
        self._bytes = body_bytes

    def grow_to(self, count: int) -> None:
        """
        Raises:
            Refusal: all requests together would hold too much.
        """
        if count > self._bytes:
            self._limits.reserve_bytes(count - self._bytes)
            self._bytes = count

    def release(self) -> None:
        self._limits.pending -= 1
        self._limits.body_bytes -= self._bytes


def _refusal(limit: LimitName) -> Refusal:
    return Refusal(responses.UNAVAILABLE, limit)
