"""Our pages: each view reads what its page shows, and returns the template with its values."""

from surehook.dashboard.site import Page
from surehook.dashboard.views import events, overview

PAGES = (
    Page("/", overview.show),
    Page("/events", events.index),
    Page("/events/{event_id}", events.show),
)
