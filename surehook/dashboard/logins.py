"""Slows down guesses at the login, for each address and in total."""

import ipaddress
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

IPV6_NETWORK_BITS = 64  # one customer's addresses


@dataclass(slots=True)
class Pace:
    """Allows some wrong guesses at once, and then one each interval."""

    at_once: int
    seconds_each: float
    free_at: float = 0.0
    """When all guesses so far are paid for (the theoretical arrival time of the generic cell rate algorithm)."""

    def wait(self, now: float) -> float:
        return max(0.0, self.free_at - (self.at_once - 1) * self.seconds_each - now)

    def spend(self, now: float) -> None:
        self.free_at = max(self.free_at, now) + self.seconds_each

    def give_back(self) -> None:
        self.free_at -= self.seconds_each


class TooManyGuesses(Exception):
    """Credentials were refused unseen: too many wrong ones came before."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.retry_after_seconds = math.ceil(seconds)


class Logins:
    """Counts wrong credentials. Right ones cost nothing, and wait at most `LONGEST_WAIT_SECONDS`.

    Only guesses that were allowed are remembered, at the total pace and until they are paid for: about a hundred
    addresses at most.
    """

    LONGEST_WAIT_SECONDS = 2.0

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._total = Pace(at_once=60, seconds_each=0.5)
        self._of: dict[str, Pace] = {}

    def check(self, address: str, are_right: Callable[[], bool]) -> bool:
        """Checks credentials, after a wait if wrong ones came before.

        Raises:
            TooManyGuesses: the wait would be too long. Whether they are right is not looked at.
        """
        with self._lock:
            paces, wait = self._paces(address)
            if wait > self.LONGEST_WAIT_SECONDS:
                raise TooManyGuesses(wait)
            if wait == 0 and are_right():
                return True
            for pace in paces:
                pace.spend(self._clock())
            self._of[_network(address)] = paces[1]
            if wait == 0:
                return False
        self._sleep(wait)
        if not are_right():
            return False
        with self._lock:
            for pace in paces:
                pace.give_back()
        return True

    def _paces(self, address: str) -> tuple[tuple[Pace, Pace], float]:
        now = self._clock()
        self._of = {known: pace for known, pace in self._of.items() if pace.free_at > now}
        own = self._of.get(_network(address)) or Pace(at_once=10, seconds_each=2.0)
        return (self._total, own), max(self._total.wait(now), own.wait(now))

    @property
    def remembered(self) -> int:
        return len(self._of)


def _network(address: str) -> str:
    """Returns the address, or the network of an IPv6 address: its owner can use all the others in it."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return address
    return str(ipaddress.ip_network((parsed, IPV6_NETWORK_BITS), strict=False))
