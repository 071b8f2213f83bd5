"""The dead letters by the way in which they failed, and their replay and discard."""

from itertools import islice
from typing import Any

import redis

from surehook.admin.bulk_actions import DISCARD, DONE_WORDS, REPLAY
from surehook.admin.dead_letters import DeadLetter, DeadLetters, Filter
from surehook.admin.failure_groups import FailureGroups
from surehook.dashboard.act_log import log_act
from surehook.dashboard.search import FIELDS_OF_LETTERS, Search, SearchMistake, parse_search
from surehook.dashboard.site import GoTo, Refused, Shown, Site, Visit
from surehook.dashboard.views.confirming import confirmation, done_of, reason_of, verb_of
from surehook.shared.keys import Keys
from surehook.shared.settings import Settings

LIMIT = 100


def build_letters(settings: Settings, store: redis.Redis) -> DeadLetters:
    return DeadLetters(
        store,
        Keys(settings.key_prefix),
        retention_seconds=settings.retention,
        handler_timeout=settings.handler_timeout,
    )


def letters_of(site: Site) -> DeadLetters:
    return build_letters(site.settings, site.store)


def filter_of(search: Search, now: float) -> Filter:
    return Filter(
        event_type=search.given.get("type"),
        handler=search.given.get("handler"),
        user_id=search.given.get("user", "").lower() or None,
        tenant_id=search.given.get("tenant", "").lower() or None,
        since=search.instant("since", now),
        until=search.instant("until", now),
        error=search.given.get("error"),
        group_id=search.given.get("group"),
    )


def index(site: Site, visit: Visit) -> Shown:
    mistake = ""
    search, found = Search({}), []
    try:
        search = parse_search(visit.query, site.clock(), FIELDS_OF_LETTERS)
        found = list(islice(letters_of(site).matching(filter_of(search, site.clock())), LIMIT + 1))
    except SearchMistake as exc:
        mistake = str(exc)
    groups = FailureGroups(site.store, site.keys).read()
    values: dict[str, Any] = {
        "search": search,
        "mistake": mistake,
        "groups": groups,
        "count": sum(group.count for group in groups),
        "letters": found[:LIMIT],
        "are_more": len(found) > LIMIT,
        "limit": LIMIT,
        "done": done_of(visit),
    }
    return Shown("dead_letters.html", values, 400 if mistake else 200)


def confirm(site: Site, visit: Visit) -> Shown:
    verb = verb_of(visit)
    letters = _chosen(site, visit)
    return confirmation(
        verb,
        count=len(letters),
        what="dead letter",
        action="/dead-letters/act",
        fields=[("verb", verb), *(("job", letter.job_id) for letter in letters)],
        sample=[
            (letter.event_id, f"{letter.event_type}, {letter.handler or '?'}: {letter.error}") for letter in letters
        ],
        back="/dead-letters",
    )


def act(site: Site, visit: Visit) -> GoTo:
    verb = verb_of(visit)
    reason = reason_of(visit, is_required=verb == DISCARD)
    letters, chosen = letters_of(site), _chosen(site, visit)
    act_on = letters.replay if verb == REPLAY else letters.discard
    count = 0
    for letter in chosen:
        if act_on(letter, who=visit.who, reason=reason):
            log_act(visit.who, DONE_WORDS[verb], event_id=letter.event_id, job_id=letter.job_id, reason=reason)
            count += 1
    gone = len(visit.form.getlist("job")) - count
    return GoTo(f"/dead-letters?done={verb}&count={count}&gone={gone}")


def _chosen(site: Site, visit: Visit) -> list[DeadLetter]:
    job_ids = visit.form.getlist("job")
    if not job_ids:
        raise Refused(400, "Nothing is selected: tick the dead letters first, or use the buttons of a group.")
    letters = letters_of(site).with_job_ids(job_ids)
    if not letters:
        raise Refused(409, "None of them is a dead letter any more: they were replayed or discarded in the meantime.")
    return letters
