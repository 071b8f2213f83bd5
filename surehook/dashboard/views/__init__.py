"""Our pages: each view reads what its page shows, and returns the template with its values."""

from surehook.dashboard.guard import SEARCH
from surehook.dashboard.site import Page
from surehook.dashboard.views import (
    actions,
    audit,
    dead_letters,
    doctor,
    event_acts,
    events,
    handlers,
    ledger,
    overview,
    queues,
    transactions,
)

PAGES = (
    Page("/", overview.show),
    Page("/events", events.index),
    Page(SEARCH, events.find, finds=True),
    Page("/events/{event_id}", events.show),
    Page("/events/{event_id}/body", event_acts.show_body, acts=True),
    Page("/events/{event_id}/confirm", event_acts.confirm_replay, acts=True),
    Page("/events/{event_id}/replay", event_acts.replay, acts=True),
    Page("/dead-letters", dead_letters.index),
    Page("/dead-letters/confirm", dead_letters.confirm, acts=True),
    Page("/dead-letters/act", dead_letters.act, acts=True),
    Page("/actions", actions.index),
    Page("/actions", actions.plan, acts=True),
    Page("/actions/{action_id}", actions.show),
    Page("/actions/{action_id}/start", actions.start, acts=True),
    Page("/actions/{action_id}/stop", actions.stop, acts=True),
    Page("/queues", queues.show),
    Page("/queues", queues.change, acts=True),
    Page("/handlers", handlers.show),
    Page("/transactions", transactions.show),
    Page("/transactions/confirm", event_acts.confirm_resolve, acts=True),
    Page("/transactions/resolve", event_acts.resolve, acts=True),
    Page("/ledger", ledger.show),
    Page("/audit", audit.show),
    Page("/doctor", doctor.show),
    Page("/doctor", doctor.run, acts=True),
)
