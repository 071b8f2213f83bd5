"""Bulk actions: planned, started, stopped and resumed; their progress, and the list of them."""

import math
from contextlib import suppress

import redis

from surehook.admin.actions import LONGEST_REASON
from surehook.admin.bulk_actions import DISCARD, ActionRefused, BulkAction, BulkActions, BulkState, event_of_canary
from surehook.admin.bulk_filters import described, kind_of
from surehook.admin.events import EventLog
from surehook.admin.failure_groups import FailureGroup, FailureGroups
from surehook.dashboard.act_log import log_bulk
from surehook.dashboard.search import FIELDS_OF_LETTERS, SearchMistake, parse_search
from surehook.dashboard.site import GoTo, Refused, Shown, Site, Visit
from surehook.dashboard.views.confirming import ADVICE, DONE_WORDS, reason_of, verb_of
from surehook.dashboard.views.dead_letters import build_letters, filter_of
from surehook.shared.encryption import BodyCipher
from surehook.shared.keys import Keys
from surehook.shared.settings import Settings

CAN_START = (BulkState.PLANNED, BulkState.STOPPED, BulkState.INTERRUPTED)
MOST_SHOWN = 50
LONGEST_RATE = 12


def build_actions(settings: Settings, store: redis.Redis) -> BulkActions:
    keys, cipher = Keys(settings.key_prefix), BodyCipher(settings.encryption_keys)
    events = EventLog(store, keys, handler_timeout=settings.handler_timeout, cipher=cipher)
    return BulkActions(store, keys, build_letters(settings, store), events)


def actions_of(site: Site) -> BulkActions:
    return build_actions(site.settings, site.store)


def index(site: Site, _: Visit) -> Shown:
    found = [(action, described(action.filter, with_error=True)) for action in actions_of(site).newest(MOST_SHOWN)]
    return Shown("actions.html", {"actions": found})


def show(site: Site, visit: Visit) -> Shown:
    action = actions_of(site).get(visit.parts["action_id"])
    values = {
        "action": action,
        "advice": ADVICE[action.verb],
        "can_start": action.state in CAN_START and action.planned > 0,
        "what": kind_of(action.filter).removesuffix("s"),
        "target": described(action.filter, with_error=True),
        "group": _group_of(site, action),
        "first": event_of_canary(action),
        "done_word": DONE_WORDS[action.verb],
        "longest_reason": LONGEST_REASON,
    }
    return Shown("action.html", values)


def plan(site: Site, visit: Visit) -> GoTo:
    """Makes the plan of a replay or a discard, whose page asks whether to start it."""
    verb = verb_of(visit)
    try:
        wanted = filter_of(parse_search(visit.form, site.clock(), FIELDS_OF_LETTERS), site.clock())
    except SearchMistake as exc:
        raise Refused(400, str(exc)) from None
    return GoTo(f"/actions/{actions_of(site).plan(verb, wanted, who=visit.who).action_id}")


def start(site: Site, visit: Visit) -> GoTo:
    """Starts a plan, or goes on with an action that was stopped; a discard needs a reason."""
    actions = actions_of(site)
    action = actions.get(visit.parts["action_id"])
    changes = {"rate": _rate_in(visit)}
    if action.state is BulkState.PLANNED:
        changes["reason"] = reason_of(visit, is_required=action.verb == DISCARD)
    word = "started" if action.state is BulkState.PLANNED else "resumed"
    with suppress(ActionRefused):  # a second click: it runs, or is done
        action = actions.start(action.action_id, who=visit.who, for_dashboard=True, changes=changes)
        log_bulk(visit.who, word, action, reason=changes.get("reason", ""))
        if site.runner is not None:
            site.runner.take(action)
    return GoTo(f"/actions/{action.action_id}")


def stop(site: Site, visit: Visit) -> GoTo:
    action_id = visit.parts["action_id"]
    with suppress(ActionRefused):  # it has ended in the meantime, as its page shows
        log_bulk(visit.who, "stopped", actions_of(site).stop(action_id, who=visit.who))
    return GoTo(f"/actions/{action_id}")


def _group_of(site: Site, action: BulkAction) -> FailureGroup | None:
    found = FailureGroups(site.store, site.keys).find(action.group_id)
    return found[0] if found else None


def _rate_in(visit: Visit) -> str:
    """The rate that was typed, or "" for no limit."""
    given = visit.form.get("rate", "").strip().replace(",", ".")
    if not given:
        return ""
    try:
        rate = float(given) if len(given) <= LONGEST_RATE else math.nan
    except ValueError:
        rate = math.nan
    if not (math.isfinite(rate) and rate > 0):
        raise Refused(400, "The rate is a number of events a second, such as 50 or 0.5; leave it empty for no limit.")
    return f"{rate:g}"
