"""Our pages: each view reads what its page shows, and returns the template with its values."""

from surehook.dashboard.site import Page
from surehook.dashboard.views import events, handlers, ledger, overview, queues, transactions

PAGES = (
    Page("/", overview.show),
    Page("/events", events.index),
    Page("/events/{event_id}", events.show),
    Page("/queues", queues.show),
    Page("/handlers", handlers.show),
    Page("/transactions", transactions.show),
    Page("/ledger", ledger.show),
)
