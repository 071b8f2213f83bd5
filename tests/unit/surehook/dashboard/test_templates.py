"""Every template, with hostile text wherever it takes a value."""

from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_type_hints

import pytest
from markupsafe import Markup

from surehook import dashboard
from surehook.admin.actions import Action
from surehook.admin.audit import AuditEntry
from surehook.admin.bulk_actions import BulkAction
from surehook.admin.counts import Count
from surehook.admin.dead_letters import DeadLetter
from surehook.admin.events import EventRecord
from surehook.admin.failure_groups import FailureGroup
from surehook.admin.handlers import HandlerReport
from surehook.admin.reconciliation import LastStatement
from surehook.admin.spool import SpooledEvent, SpoolSummary
from surehook.admin.transactions import Answer, Decision
from surehook.dashboard.charts import chart
from surehook.dashboard.doctor import Examination, Finding
from surehook.dashboard.guard import User
from surehook.dashboard.rendering import build_templates
from surehook.dashboard.search import Search
from surehook.dashboard.views.confirming import Done
from surehook.dashboard.views.handlers import Row
from surehook.dashboard.views.overview import Button, Figure, Need
from surehook.dashboard.waits import Wait
from surehook.shared.stats import LimitState, QueueStats, Stats
from tests.support.hostile import CANNOT_BE_THERE, SPOILED

FOLDER = Path(dashboard.__file__).parent / "templates"
PARTS = {"layout.html", "parts.html"}
NOW = datetime(2026, 11, 28, tzinfo=UTC)
OF_TYPE = {
    str: SPOILED, int: 3, float: 2.5, bool: True, datetime: NOW, Markup: Markup("<svg></svg>"),
    tuple[str, ...]: (SPOILED, SPOILED),
}  # fmt: skip


def spoiled(kind: Any, **given: Any) -> Any:
    """An object of a dataclass with hostile text in each of its fields."""
    hints = get_type_hints(kind)
    return kind(**{field.name: given.get(field.name, _value(hints[field.name])) for field in fields(kind)})


def _value(hint: Any) -> Any:
    if hint in OF_TYPE:
        return OF_TYPE[hint]
    if is_dataclass(hint):
        return spoiled(hint)
    if isinstance(hint, type):  # an enumeration
        return next(iter(hint))  # type: ignore[call-overload]
    return _value(next(each for each in hint.__args__ if each is not type(None)))


SEARCH = Search(dict.fromkeys(("type", "state", "handler", "user", "tenant", "since", "error", "group"), SPOILED))
EVENT = spoiled(EventRecord)
ATTEMPT = {
    "handler": SPOILED, "number": 1, "outcome": SPOILED, "error": SPOILED, "traceback": SPOILED, "elapsed_ms": 5,
    "at": NOW, "is_newest": True, "action": None,
}  # fmt: skip
WAITS = [spoiled(Wait, state=state, due_at=NOW) for state in ("scheduled", "deferred", "dead", "queued")]
ACTION = spoiled(Action)
QUEUES = [spoiled(QueueStats, limits=spoiled(LimitState)), spoiled(QueueStats, name="events", limits=None)]
BULK = spoiled(BulkAction)
DONE = Done(SPOILED, 3, 2)
BUTTON = Button(SPOILED, "/queues", ((SPOILED, SPOILED),))
EXAMINATION = Examination(NOW, (spoiled(Finding, level="loses events"),))
STATEMENT = LastStatement(SPOILED, SPOILED, NOW, False, {}, (SPOILED,), (SPOILED,), NOW)
VALUES: dict[str, dict[str, Any]] = {
    "doctor.html": {
        "last": EXAMINATION, "is_running": False, "wrong": EXAMINATION.findings, "fine": EXAMINATION.findings,
    },
    "overview.html": {
        "statement": STATEMENT, "examination": EXAMINATION,
        "sentence": SPOILED, "needs": [spoiled(Need, path="/queues", button=BUTTON)],
        "figures": [spoiled(Figure, path="/events")], "chart": chart([], name=SPOILED),
    },
    "events.html": {
        "search": SEARCH, "q": SPOILED, "events": [EVENT], "after": SPOILED, "is_first": False, "mistake": SPOILED,
        "count": Count(10_000, is_more=True), "is_complete": False,
        "states": [SPOILED],
    },
    "event.html": {
        "event": EVENT, "answer": spoiled(Answer), "happened": [ATTEMPT, {"action": ACTION, "at": NOW}], "waits": WAITS,
        "can_replay": True,
        "is_refused": False, "body": SPOILED, "done": DONE,
    },
    "dead_letters.html": {
        "search": SEARCH, "mistake": SPOILED, "groups": [spoiled(FailureGroup)], "count": 3,
        "letters": [spoiled(DeadLetter)], "are_more": True, "limit": 100, "done": DONE,
    },
    "confirm.html": {
        "verb": SPOILED, "advice": SPOILED, "count": 9, "what": SPOILED, "action": SPOILED,
        "fields": [(SPOILED, SPOILED)], "sample": [(SPOILED, SPOILED)], "back": "/dead-letters", "longest_reason": 200,
    },
    "action.html": {
        "action": BULK, "advice": SPOILED, "can_start": True, "what": SPOILED, "target": SPOILED,
        "group": spoiled(FailureGroup), "first": SPOILED, "done_words": SPOILED, "longest_reason": 200,
    },
    "actions.html": {"actions": [(BULK, SPOILED)]},
    "audit.html": {"entries": [spoiled(AuditEntry)], "older": SPOILED, "is_first": False},
    "queues.html": {"queues": QUEUES, "is_suspended": True, "sentences": {SPOILED: SPOILED}},
    "handlers.html": {
        "rows": [spoiled(Row, report=spoiled(HandlerReport, is_running=False))], "unhandled": {SPOILED: 3}, "hours": 1,
        "choices": (1, 6),
    },
    "transactions.html": {
        "state": "orphaned", "states": ["orphaned"], "decisions": [spoiled(Decision)], "are_more": True, "most": 100,
        "done": DONE,
    },
    "ledger.html": {
        "stats": spoiled(Stats, queues=()), "report": SimpleNamespace(is_balanced=False), "states": [(SPOILED, 1)],
        "missing": [SPOILED], "can_check": True, "spool": spoiled(SpoolSummary), "spooled": [spoiled(SpooledEvent)],
        "statement": STATEMENT,
    },
    "refused.html": {"text": SPOILED, "status": 404},
}  # fmt: skip

ATTRIBUTES = {
    "lang", "charset", "name", "content", "rel", "href", "src", "defer", "class", "id", "title", "datetime",
    "action", "method", "type", "value", "placeholder", "autocomplete", "role", "tabindex", "hidden", "scope",
    "required", "maxlength", "max", "selected", "open", "viewbox", "preserveaspectratio", "d", "spellcheck",
    "inputmode",
}  # fmt: skip
# Shown only in answer to a form of a user who may act.
AFTER_A_FORM = {"confirm.html"}


class Reader(HTMLParser):
    """Collects what a browser would: elements with their attributes, and ids."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def render(name: str, *, may_act: bool = True) -> str:
    base = {"base": "/tools", "user": User(SPOILED, may_act), "token": SPOILED, "here": "/"}
    return build_templates(NOW.timestamp).get_template(name).render(base | VALUES[name])


def test_every_template_is_tested() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(VALUES) | PARTS


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("may_act", [True, False], ids=["act", "look"])
def test_nothing_hostile_becomes_part_of_the_page(name: str, may_act: bool) -> None:
    text = render(name, may_act=may_act)

    assert [part for part in CANNOT_BE_THERE if part in text] == []
    elements = Reader(text).elements
    for tag, attributes in elements:
        others = {each for each in attributes if not each.startswith(("aria-", "data-"))} - ATTRIBUTES
        assert others == set(), (tag, attributes)
    for attributes in Reader(text).named("a"):
        assert (attributes["href"] or "").startswith(("/tools/", "#")), attributes


def forms(page: str) -> list[str]:
    """The addresses to which its forms post, without that of the search."""
    posting = [each["action"] or "" for each in Reader(page).named("form") if each.get("method") == "post"]
    return [action for action in posting if not action.endswith("/find")]


@pytest.mark.parametrize("name", [name for name in VALUES if name not in AFTER_A_FORM])
def test_a_login_that_may_only_look_sees_no_form_that_changes_something(name: str) -> None:
    assert forms(render(name)) or name not in {"event.html", "dead_letters.html", "queues.html", "action.html"}
    assert forms(render(name, may_act=False)) == []
    assert 'name="token"' not in render(name, may_act=False)


@pytest.mark.parametrize("name", VALUES)
def test_a_page_can_be_used_with_a_screen_reader(name: str) -> None:
    page = Reader(render(name))

    assert [len(page.named(tag)) for tag in ("h1", "main", "nav", "header", "footer")] == [1, 1, 1, 1, 1]
    assert page.named("html") == [{"lang": "en"}]
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    labels = render(name).count("<label>")
    fields = [each for tag in ("input", "select") for each in page.named(tag) if each.get("type") != "hidden"]
    assert labels + sum("aria-label" in each for each in fields) == len(fields)
    assert len(page.named("caption")) == len(page.named("table"))
    assert all(each.get("scope") == "col" for each in page.named("th"))
    assert all("aria-label" in each for each in page.named("svg") if "viewbox" in each)
