"""The log lines of what operators do on the pages: who did what. They hold no personal data."""

import logging

from surehook.admin.bulk_actions import BulkAction, BulkState
from surehook.admin.bulk_filters import described

log = logging.getLogger(__name__)


def log_act(who: str, action: str, **facts: object) -> None:
    """Logs an act under the name that it has in the audit."""
    given = {name: value for name, value in facts.items() if value}
    log.info("action in the dashboard", extra={"outcome": action, "operator": who, **given})


def log_bulk(who: str, word: str, action: BulkAction, *, reason: str = "") -> None:
    facts = {"action_id": action.action_id, "filter": described(action.filter), "reason": reason}
    log_act(who, f"bulk {action.verb} {word}", **facts)


def log_end(action: BulkAction) -> None:
    """Logs that an action is done or has stopped by itself; a stop from a page is logged there."""
    if action.state is not BulkState.DONE and not action.has_stopped_itself:
        return
    word = "ended" if action.state is BulkState.DONE else "stopped"
    facts = {"action_id": action.action_id, "filter": described(action.filter), "count": action.done}
    given = facts | ({"reason": action.note} if action.note else {})
    log.info("bulk action ended", extra={"outcome": f"bulk {action.verb} {word}", "operator": action.who, **given})
