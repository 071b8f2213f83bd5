"""The search of the pages: fields of a form, and the same as words, such as `type:user.delete since:2h`."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from surehook.admin.event_records import CLOSED_STATES, OPEN_STATES, STATE_GROUPS
from surehook.admin.instants import UNITS, read_time

FIELDS = ("type", "state", "handler", "user", "email", "tenant", "application", "since", "until", "group")
FIELDS_OF_LETTERS = ("type", "handler", "user", "tenant", "since", "until", "error", "group")
STATES = (*STATE_GROUPS, *OPEN_STATES, *CLOSED_STATES)
LONGEST_VALUE = 300
HASHED_EMAIL = re.compile(r"[0-9a-f]{12}")
AN_ID = re.compile(r"[0-9a-fA-F]{4,8}(-[0-9a-fA-F-]{0,27})?")


class SearchMistake(Exception):
    """A search that cannot be understood; the text says what was expected."""


@dataclass(frozen=True, slots=True)
class Search:
    """The filters of a request, and the id to jump to."""

    given: Mapping[str, str]
    """The fields that have a value, as text."""
    some_id: str = ""
    """An id, or its beginning, to jump to."""

    @property
    def states(self) -> tuple[str, ...]:
        state = self.given.get("state", "")
        return STATE_GROUPS.get(state, (state,)) if state else ()

    def instant(self, name: str, now: float) -> datetime | None:
        return instant_of(self.given[name], now) if name in self.given else None

    @property
    def hashed_email(self) -> str | None:
        """The hash of an address, which stands in an address of a page instead of it."""
        email = self.given.get("email", "")
        return email if HASHED_EMAIL.fullmatch(email) else None

    def query(self, **more: str) -> str:
        """The search as part of an address."""
        return urlencode({**self.given, **more})


def parse_search(query: Mapping[str, str], now: float, fields: Sequence[str] = FIELDS) -> Search:
    """
    Raises:
        SearchMistake: a field or a word of `q` is none that can be searched for.
    """
    given = {name: query[name].strip() for name in fields if query.get(name, "").strip()}
    some_id = ""
    for word in query.get("q", "").split():
        name, colon, value = word.partition(":")
        if colon and name in fields and value:
            given[name] = value
        elif AN_ID.fullmatch(word):
            some_id = word.lower()
        else:
            raise SearchMistake(
                f"“{word[:60]}” is no id and no filter. Filters are {', '.join(f'{name}:…' for name in fields)}."
            )
    _check(given, now)
    return Search(given, some_id)


def _check(given: Mapping[str, str], now: float) -> None:
    for name, value in given.items():
        if len(value) > LONGEST_VALUE:
            raise SearchMistake(f"The value of {name} is too long.")
    if given.get("state", "open") not in STATES:
        raise SearchMistake(f"There is no state “{given['state'][:60]}”. States are {', '.join(STATES)}.")
    for name in ("since", "until"):
        if name in given:
            instant_of(given[name], now)


def instant_of(text: str, now: float) -> datetime:
    """
    Raises:
        SearchMistake: it is no time.
    """
    if found := re.fullmatch(r"(\d{1,5})([smhd])", text, re.ASCII):
        return datetime.fromtimestamp(now, UTC) - timedelta(**{UNITS[found[2]]: int(found[1])})
    if (instant := read_time(text)) is not None:
        return instant
    raise SearchMistake(f"“{text[:60]}” is no time: expected one such as 90s, 5m, 2h, 3d, or 2026-11-28T16:00 (UTC).")
