"""The page between a button and its act: how many events, which, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from surehook.admin import bulk_actions
from surehook.admin.actions import LONGEST_REASON
from surehook.admin.bulk_actions import DISCARD, REPLAY
from surehook.dashboard.site import Refused, Shown, Visit

RESOLVE = "resolve"
DONE_WORDS = {**bulk_actions.DONE_WORDS, RESOLVE: "resolved"}
MOST_SHOWN = 5
MOST_DIGITS = 9
ADVICE = {
    REPLAY: "Their handlers run again, each with its full budget of retries.",
    DISCARD: "They are closed for good, and their handlers never run for them.",
    RESOLVE: "They leave the list of orphans. Do this when you have checked, and undone what had to be undone.",
}


@dataclass(frozen=True, slots=True)
class Done:
    """The result of an act, as the next page tells it."""

    word: str
    """The act in the past tense, such as "replayed"."""
    count: int
    gone: int
    """How many were not changed, because they were no longer what they had been."""


def verb_of(visit: Visit) -> str:
    """The verb of a form about dead letters: its button's."""
    verb = visit.form.get("verb", "")
    if verb not in (REPLAY, DISCARD):
        raise Refused(400, "This form cannot be read: reload the page, and try again.")
    return verb


def reason_of(visit: Visit, *, is_required: bool = False) -> str:
    """The reason that was typed."""
    reason = visit.form.get("reason", "").strip()
    if len(reason) > LONGEST_REASON:
        raise Refused(400, f"The reason is too long: at most {LONGEST_REASON} characters.")
    if not reason and is_required:
        raise Refused(400, "A discard needs a reason: go back, and say why these events will not be handled.")
    return reason


def done_of(visit: Visit) -> Done | None:
    word = DONE_WORDS.get(visit.query.get("done", ""))
    return Done(word, _number(visit.query, "count"), _number(visit.query, "gone")) if word else None


def confirmation(
    verb: str,
    *,
    count: int,
    what: str,
    action: str,
    fields: Sequence[tuple[str, str]],
    sample: Sequence[tuple[str, str]],
    back: str,
) -> Shown:
    """The page. `sample` has pairs of an event's id and words about it."""
    values = {
        "verb": verb,
        "advice": ADVICE[verb],
        "count": count,
        "what": what,
        "action": action,
        "fields": fields,
        "sample": sample[:MOST_SHOWN],
        "back": back,
        "longest_reason": LONGEST_REASON,
    }
    return Shown("confirm.html", values)


def _number(query: Mapping[str, str], name: str) -> int:
    text = query.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS else 0
