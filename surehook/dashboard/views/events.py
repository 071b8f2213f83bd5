"""The list of events, and the story of one."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from surehook.admin.actions import Action
from surehook.admin.cursors import BadCursor
from surehook.admin.events import REPLAYABLE, EventFilter, EventLog, EventRecord
from surehook.admin.transactions import REFUSALS
from surehook.dashboard.search import STATES, Search, SearchMistake, parse_search
from surehook.dashboard.site import GoTo, Refused, Shown, Site, Visit
from surehook.dashboard.views.confirming import done_of
from surehook.dashboard.views.transactions import decisions_of
from surehook.dashboard.waits import read_waits
from surehook.shared.encryption import BodyCipher

LIMIT = 50


def index(site: Site, visit: Visit) -> Shown | GoTo:
    try:
        search = parse_search(visit.query, site.clock())
    except SearchMistake as exc:
        return Shown("events.html", _values(visit, Search({}), [], "", mistake=str(exc)), 400)
    if search.some_id:
        return _jump(site, visit, search)
    if "email" in search.given and search.hashed_email is None:
        return GoTo(_address_of(site, search))
    wanted, found = _filter_of(search, site.clock()), log_of(site).search
    try:
        cursor = visit.query.get("after", "")
        page = found.page(wanted, limit=LIMIT, cursor=cursor)
    except BadCursor:
        raise Refused(400, "There is no such page of the list: start with the newest events.") from None
    count = found.count_with(page, wanted, cursor) if search.given else None
    counted = {"count": count, "is_complete": found.is_complete()}
    return Shown("events.html", _values(visit, search, page.events, page.next_cursor) | counted)


def find(site: Site, visit: Visit) -> Shown | GoTo:
    """Takes the filters of a form, and leads to the page of what matches.

    It is a POST, and its target names a hash, so that no e-mail address stands in a browser's history or a proxy's log.
    """
    try:
        search = parse_search(visit.form, site.clock())
    except SearchMistake as exc:
        return Shown("events.html", _values(visit, Search({}), [], "", mistake=str(exc)), 400)
    return GoTo(f"/events?{urlencode({'q': search.some_id})}" if search.some_id else _address_of(site, search))


def _address_of(site: Site, search: Search) -> str:
    """The page of what matches, with the hash of an e-mail address instead of it."""
    given = dict(search.given)
    if "email" in given and search.hashed_email is None:
        hashed = log_of(site).search.with_hashed_email(EventFilter(email=given["email"]))
        given["email"] = hashed.hashed_email or ""
    return f"/events?{urlencode(given)}" if given else "/events"


def show(site: Site, visit: Visit) -> Shown | GoTo:
    event = found_event(site, visit.parts["event_id"])
    if event.event_id != visit.parts["event_id"]:
        return GoTo(f"/events/{event.event_id}")
    return Shown("event.html", story_of(site, event) | {"done": done_of(visit)})


def found_event(site: Site, some_id: str) -> EventRecord:
    """
    Raises:
        Refused: no event on record, or more than one, begins so.
    """
    log, some_id = log_of(site), some_id.lower()
    found = log.like(some_id)
    if not found and (day := log.known_since(some_id)):
        raise Refused(410, f"Only the id of this event is left: it was closed on {day}, and its record has expired.")
    if not found:
        raise Refused(404, "There is no such event on record. Closed events are kept for SUREHOOK_RETENTION seconds.")
    if len(found) > 1:
        raise Refused(404, "This is the beginning of several ids: give more of it.")
    return found[0]


def story_of(site: Site, event: EventRecord) -> dict[str, Any]:
    log = log_of(site)
    return {
        "event": event,
        "answer": decisions_of(site).answer_of(event.event_id),
        "happened": _happened(log.attempts(event.event_id), log.actions(event.event_id)),
        "waits": read_waits(site.store, site.keys, event.event_id, event.handlers) if event.is_open else [],
        "can_replay": event.has_body and event.state in (*REPLAYABLE, *REFUSALS),
        "is_refused": event.state in REFUSALS,
        "body": None,
        "done": None,
    }


def _happened(attempts: Sequence[dict[str, Any]], actions: Sequence[Action]) -> list[dict[str, Any]]:
    """The runs of handlers and the actions of operators, in the order of their times."""
    found: list[dict[str, Any]] = [
        {
            "action": None,
            "traceback": "",
            **attempt,
            "at": datetime.fromisoformat(attempt["at"]),
            "is_newest": attempt is attempts[-1],
        }
        for attempt in attempts
    ]
    found += [{"action": action, "at": action.at} for action in actions]
    return sorted(found, key=lambda each: each["at"])


def _jump(site: Site, visit: Visit, search: Search) -> Shown | GoTo:
    found = log_of(site).like(search.some_id)
    if len(found) == 1:
        return GoTo(f"/events/{found[0].event_id}")
    mistake = "" if found else f"There is no event {search.some_id} on record."
    return Shown("events.html", _values(visit, search, found[:LIMIT], "", mistake=mistake), 200 if found else 404)


def _filter_of(search: Search, now: float) -> EventFilter:
    return EventFilter(
        event_type=search.given.get("type"),
        handler=search.given.get("handler"),
        user_id=search.given.get("user", "").lower() or None,
        tenant_id=search.given.get("tenant", "").lower() or None,
        hashed_email=search.hashed_email,
        group_id=search.given.get("group"),
        application_id=search.given.get("application", "").lower() or None,
        since=search.instant("since", now),
        until=search.instant("until", now),
        states=search.states,
    )


def _values(
    visit: Visit, search: Search, events: Sequence[EventRecord], after: str, mistake: str = ""
) -> dict[str, Any]:
    return {
        "search": search,
        "q": (visit.form or visit.query).get("q", "") if mistake or search.some_id else "",
        "events": events,
        "after": after,
        "is_first": not visit.query.get("after"),
        "mistake": mistake,
        "states": STATES,
        "count": None,
        "is_complete": True,
    }


def log_of(site: Site) -> EventLog:
    cipher = BodyCipher(site.settings.encryption_keys)
    return EventLog(site.store, site.keys, handler_timeout=site.settings.handler_timeout, cipher=cipher)
