"""The filter of a bulk action, of dead letters or of closed events, as it is stored with the action."""

import json
from dataclasses import asdict
from datetime import datetime
from typing import Any

from surehook.admin.audit import masked_user
from surehook.admin.dead_letters import Filter
from surehook.admin.event_records import EventFilter

LETTERS, EVENTS = "dead letters", "closed events"
HIDDEN = "…"
# A user's id and address are in no entry of the audit.
_PERSONAL = {"user_id", "email", "hashed_email"}


def kind_of(wanted: Filter | EventFilter) -> str:
    return LETTERS if isinstance(wanted, Filter) else EVENTS


def described(wanted: Filter | EventFilter, *, with_error: bool = False) -> str:
    """A filter as the audit and the log name it: without the id or the address of a user, or the text of an error.

    `with_error`: with that text, for those who look at the action itself, which is kept for a week.
    """
    given = {name: value for name, value in _given(wanted).items() if name not in _PERSONAL}
    if "error" in given and not with_error:
        given["error"] = HIDDEN
    parts = [f"{_word(name)} {_text(value)}" for name, value in given.items()]
    if wanted.user_id:
        parts.append(masked_user(wanted.user_id))
    if isinstance(wanted, EventFilter) and (wanted.email or wanted.hashed_email):
        parts.append("one e-mail address")
    return f"{kind_of(wanted)}: {', '.join(parts) or 'all'}"


def pack(wanted: Filter | EventFilter) -> str:
    return json.dumps({"kind": kind_of(wanted), **_given(wanted)})


def unpack(packed: str) -> Filter | EventFilter:
    given: dict[str, Any] = json.loads(packed)
    kind = given.pop("kind")
    for name in ("since", "until"):
        if name in given:
            given[name] = datetime.fromisoformat(given[name])
    if kind == LETTERS:
        return Filter(**given)
    return EventFilter(**given | {"states": tuple(given.get("states", ()))})


def _given(wanted: Filter | EventFilter) -> dict[str, Any]:
    given = {name: value for name, value in asdict(wanted).items() if value not in (None, ())}
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in given.items()}


def _word(name: str) -> str:
    return {"states": "state"}.get(name, name.removesuffix("_id").replace("event_", ""))


def _text(value: Any) -> str:
    return " or ".join(value) if isinstance(value, (list, tuple)) else str(value)
