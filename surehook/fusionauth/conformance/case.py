"""A case: a documented behaviour of FusionAuth, and the answer that it needs."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

DOCS = "https://fusionauth.io/docs/"
WEBHOOKS = f"{DOCS}extend/events-and-webhooks/"
EVENTS = f"{WEBHOOKS}events/"
WRITING = f"{WEBHOOKS}writing-a-webhook"
SIGNING = f"{WEBHOOKS}signing"
SECURING = f"{WEBHOOKS}securing"
WEBHOOK_API = f"{DOCS}apis/webhooks/"
EVENT_LOG_API = f"{DOCS}apis/webhook-event-logs"
RESTIFY = "https://github.com/inversoft/restify"
ISSUES = "https://github.com/FusionAuth/fusionauth-issues/issues/"


class Level(Enum):
    """The meaning of a result, the worst first."""

    LOSES_EVENTS = "loses events"
    FORGERY = "lets a forgery in"
    BLOCKS_USERS = "blocks users"
    ODD = "odd"
    NOT_TRIED = "not tried"
    OK = "ok"

    @property
    def is_serious(self) -> bool:
        return self in {Level.LOSES_EVENTS, Level.FORGERY}


class Expected(Enum):
    """The answer that a case needs."""

    ACCEPTED = "2xx, in time and without a redirect"
    REFUSED = "any status but 2xx"


class Need(Enum):
    """A requirement of a case, as the reason for not trying it."""

    HEADER = "the receiver's secret header was not given (--header)"
    BASIC = "the receiver's HTTP Basic pair was not given (--basic)"
    SIGNATURE = "the signing key was not given (--signing-key or --jwks)"
    SHARED_SECRET = "the signing key is no shared secret"  # noqa: S105 - a sentence
    PUBLIC_KEY = "the signing key has no public part"
    JWKS = "the receiver does not read its keys from here (--jwks)"
    STORE = "only our own store can show it (--ours)"


Run = Callable[[Any], Any]
"""Takes the probe, and returns the exchanges to judge, or its own judgement."""


@dataclass(frozen=True, slots=True)
class Case:
    """`level` is what an answer means that is not the expected one. `facts` and `url` are the behaviour's source."""

    id: str
    title: str
    facts: str
    url: str
    expected: Expected
    level: Level
    needs: tuple[Need, ...]
    run: Run

    @property
    def area(self) -> str:
        return self.id.partition(".")[0]


class Cases(list[Case]):
    """The cases of an area, in the order in which they run."""

    def accepts(
        self, case_id: str, title: str, facts: str, url: str, *needs: Need, level: Level = Level.LOSES_EVENTS
    ) -> Callable[[Run], Run]:
        """Declares a case whose requests have to be answered 2xx."""
        return self._declare(case_id, title, facts, url, Expected.ACCEPTED, level, needs)

    def refuses(
        self, case_id: str, title: str, facts: str, url: str, *needs: Need, level: Level = Level.FORGERY
    ) -> Callable[[Run], Run]:
        """Declares a case whose requests must not be answered 2xx."""
        return self._declare(case_id, title, facts, url, Expected.REFUSED, level, needs)

    def _declare(
        self, case_id: str, title: str, facts: str, url: str, expected: Expected, level: Level, needs: tuple[Need, ...]
    ) -> Callable[[Run], Run]:
        def add(run: Run) -> Run:
            self.append(Case(case_id, title, facts, url, expected, level, needs, run))
            return run

        return add
