"""Acts on one event: its body is shown, it runs again; and an orphan is resolved."""

from surehook.admin.events import REPLAYABLE, EventRecord
from surehook.admin.transactions import ORPHANED, REFUSALS
from surehook.dashboard.bodies import shown_body
from surehook.dashboard.site import GoTo, Refused, Shown, Site, Visit
from surehook.dashboard.views.confirming import confirmation, reason_of
from surehook.dashboard.views.events import found_event, log_of, story_of
from surehook.dashboard.views.transactions import decisions_of
from surehook.shared.errors import BodyDamaged, KeyMissing

UNREADABLE = "(Its key is not among SUREHOOK_ENCRYPTION_KEYS of the dashboard.)"
DAMAGED = "(The stored body cannot be decrypted.)"


def show_body(site: Site, visit: Visit) -> Shown:
    event = found_event(site, visit.parts["event_id"])
    site.audit(visit, "body shown", event_id=event.event_id)
    return Shown("event.html", story_of(site, event) | {"body": _body(site, event.event_id)})


def _body(site: Site, event_id: str) -> str:
    try:
        body = log_of(site).body(event_id)
    except KeyMissing:
        return UNREADABLE
    except BodyDamaged:
        return DAMAGED
    if not body:
        raise Refused(410, "The body has expired (SUREHOOK_BODY_RETENTION).")
    return shown_body(body)


def confirm_replay(site: Site, visit: Visit) -> Shown:
    event = found_event(site, visit.parts["event_id"])
    _require_replayable(event)
    return confirmation(
        "replay",
        count=1,
        what="event",
        action=f"/events/{event.event_id}/replay",
        fields=[("verb", "replay")],
        sample=[(event.event_id, event.event_type)],
        back=f"/events/{event.event_id}",
    )


def replay(site: Site, visit: Visit) -> GoTo:
    event = found_event(site, visit.parts["event_id"])
    _require_replayable(event)
    reason = reason_of(visit)
    is_refused = event.state in REFUSALS
    action = "committed event replayed" if is_refused else "event replayed"
    site.audit(visit, action, event_id=event.event_id, reason=reason)
    if is_refused:
        done = decisions_of(site).replay_committed(event.event_id)
    else:
        done = log_of(site).replay(event.event_id, who=visit.who, reason=reason)
    return GoTo(f"/events/{event.event_id}?done=replay&count={int(done)}&gone={int(not done)}")


def _require_replayable(event: EventRecord) -> None:
    if event.state not in (*REPLAYABLE, *REFUSALS):
        raise Refused(409, f"This event is {event.state}: only a closed one runs again.")
    if not event.has_body:
        raise Refused(410, "The body of this event has expired (SUREHOOK_BODY_RETENTION): it cannot run again.")


def confirm_resolve(site: Site, visit: Visit) -> Shown:
    event_id = _orphan(site, visit)
    return confirmation(
        "resolve",
        count=1,
        what="orphan",
        action="/transactions/resolve",
        fields=[("verb", "resolve"), ("event", event_id)],
        sample=[(event_id, "")],
        back="/transactions",
    )


def resolve(site: Site, visit: Visit) -> GoTo:
    event_id, reason = _orphan(site, visit), reason_of(visit)
    site.audit(visit, "resolved", event_id=event_id, reason=reason)
    done = decisions_of(site).resolve(event_id)
    return GoTo(f"/transactions?done=resolve&count={int(done)}&gone={int(not done)}")


def _orphan(site: Site, visit: Visit) -> str:
    event_id = visit.form.get("event", "")
    if decisions_of(site).like(event_id, ORPHANED) != [event_id]:
        raise Refused(409, "This event is no orphan any more: it was resolved in the meantime.")
    return event_id
