"""`surehook events tail`: follows events as they arrive and change their state."""

import sys
import time
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import click

from surehook.admin.event_records import STATE_GROUPS
from surehook.admin.events import CLOSED_STATES, OPEN_STATES, EventFilter, EventRecord
from surehook.admin.search import EventSearch
from surehook.shared.visible import visible_line
from surehook.verbs.events_list import facts, filter_of, filters, open_log
from surehook.verbs.options import as_json
from surehook.verbs.output import echo_coloured, echo_json
from surehook.verbs.tables import COLOURS, SHORT_ID

POLL_SECONDS = 1.0
AT_ONCE = 1_000
REMEMBERED = 10_000
# How long a change of an event's state is shown, counted from its arrival to that of the newest event.
FOLLOWED = timedelta(minutes=10)


class Follower:
    """Finds what is new since the last call."""

    def __init__(self, search: EventSearch, wanted: EventFilter) -> None:
        self._search = search
        self._wanted = wanted
        self._states: OrderedDict[str, str] = OrderedDict()
        newest = search.page(EventFilter(), limit=1).events
        self._newest_at: datetime | None = newest[0].received_at if newest else None
        self._since = wanted.since or self._after(self._newest_at)
        self._is_first = True

    def changes(self) -> Iterator[EventRecord]:
        """Events that arrived or changed their state, the oldest first. At most `AT_ONCE` events are looked at."""
        since = self._since
        if self._newest_at is not None and not self._is_first:
            since = max(filter(None, (since, self._newest_at - FOLLOWED)))
        self._is_first = False
        for event in reversed(self._search.page(replace(self._wanted, since=since), limit=AT_ONCE).events):
            if self._states.get(event.event_id) == event.state:
                continue
            self._states[event.event_id] = event.state
            self._newest_at = max(filter(None, (self._newest_at, event.received_at)))
            yield event
        while len(self._states) > REMEMBERED:
            self._states.popitem(last=False)

    @staticmethod
    def _after(instant: datetime | None) -> datetime | None:
        return None if instant is None else instant + timedelta(milliseconds=1)


@click.command()
@filters(*STATE_GROUPS, *OPEN_STATES, *CLOSED_STATES)
@as_json
def tail(as_json: bool, **wanted: Any) -> None:
    """Follow events: print each when it arrives, and again when its state has changed. Ctrl-C ends it.

    With --since it begins with the events since then.
    """
    try:
        follower = Follower(open_log().search, filter_of(wanted))
        while True:
            for event in follower.changes():
                _print(event, as_json=as_json)
            time.sleep(POLL_SECONDS)
    except KeyboardInterrupt:
        return


def _print(event: EventRecord, *, as_json: bool) -> None:
    if as_json:
        echo_json(facts(event))
        return
    is_terminal = sys.stdout.isatty()
    shown = event.event_id[:SHORT_ID] if is_terminal else event.event_id
    state = f"{event.state:<9}"
    rest = f"{event.event_type}  {','.join(event.handlers)}".rstrip()
    words = f"{event.received_at:%H:%M:%S}  {shown}  {state}  {rest}"
    echo_coloured(visible_line(words), state, COLOURS.get(event.state) if is_terminal else None)
