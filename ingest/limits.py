"""What one process holds at once, and no more: requests, bytes of their bodies, connections.

Past a bound the answer is 503, before anything is read or kept: a flood costs those who send it, not the events that
were let in.
"""

import resource
from typing import Literal

from surehook.ingest import responses
from surehook.ingest.responses import Refusal
from surehook.shared.settings import Settings

Bound = Literal["too_many_pending", "too_many_bytes", "too_many_connections"]
# Idle ones included: a sender that keeps its connections has as many as requests, and others want one too.
CONNECTIONS_PER_REQUEST = 2
OTHER_FILES = 100  # the store's connection, the metrics', logs, modules


class Limits:
    """The books of what is held."""

    def __init__(self, settings: Settings) -> None:
        self._most_pending = settings.max_pending
        self._most_bytes = settings.max_body_bytes_in_flight
        self.most_connections = settings.max_pending * CONNECTIONS_PER_REQUEST
        self.pending = 0
        self.body_bytes = 0
        self.connections = 0

    def hold(self) -> "Reservation":
        """A place for a request, to be released.

        Raises:
            Refusal: there is none.
        """
        if self.pending >= self._most_pending:
            raise _refusal("too_many_pending")
        self.pending += 1
        return Reservation(self)

    def take_bytes(self, count: int) -> None:
        if self.body_bytes + count > self._most_bytes:
            raise _refusal("too_many_bytes")
        self.body_bytes += count

    def fit_to_file_limit(self) -> None:
        """As many connections as the operating system allows files; its soft limit is raised as far as we need."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = self.most_connections + OTHER_FILES
        if hard != resource.RLIM_INFINITY:
            wanted = min(wanted, hard)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
        if soft != resource.RLIM_INFINITY:
            self.most_connections = max(1, min(self.most_connections, soft - OTHER_FILES))


class Reservation:
    """One request's place, and how much of a body it has taken or announced."""

    __slots__ = ("_bounds", "_bytes")

    def __init__(self, bounds: Limits) -> None:
        self._bounds = bounds
        self._bytes = 0

    def grow_to(self, count: int) -> None:
        """
        Raises:
            Refusal: all requests together would hold too much.
        """
        if count > self._bytes:
            self._bounds.take_bytes(count - self._bytes)
            self._bytes = count

    def release(self) -> None:
        self._bounds.pending -= 1
        self._bounds.body_bytes -= self._bytes


def _refusal(bound: Bound) -> Refusal:
    return Refusal(responses.UNAVAILABLE, bound)
