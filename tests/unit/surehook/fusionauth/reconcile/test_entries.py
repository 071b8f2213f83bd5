"""An entry of which no event can be made counts only if it may have been for us."""

from typing import Any

import pytest

from surehook.fusionauth.reconcile.decisions import Webhooks
from surehook.fusionauth.reconcile.entries import may_be_missed
from surehook.fusionauth.reconcile.runner import Reconciler
from tests.unit.surehook.fusionauth.reconcile.test_runner import DAY, NOW, OURS, Store, a_log, a_row

IDS = frozenset({OURS})
OTHER = "22222222-0000-4000-8000-000000000000"


def attempts_at(*webhook_ids: str) -> list[dict[str, Any]]:
    return [{"webhookId": each, "attemptResult": "Failure"} for each in webhook_ids]


@pytest.mark.parametrize(
    ("attempts", "result", "is_counted"),
    [
        (attempts_at(OURS), "Succeeded", True),
        (attempts_at(OTHER, OURS), "Succeeded", True),
        (attempts_at(OTHER), "Succeeded", False),
        ([], "Succeeded", False),
        (None, "Succeeded", False),
        (attempts_at(OURS), "Failed", False),
        ([], "Running", True),
        ([], None, True),
        ([], ["Succeeded"], True),
        ("a", "Succeeded", True),
        ([7], "Succeeded", True),
        ([*attempts_at(OTHER), None], "Succeeded", True),
    ],
)
def test_what_was_for_others_or_did_not_happen_is_not_missed(attempts: Any, result: Any, *, is_counted: bool) -> None:
    assert may_be_missed({"attempts": attempts, "eventResult": result}, IDS) is is_counted


def test_an_odd_entry_of_another_webhook_leaves_the_period_complete() -> None:
    rows = [a_row(1) | {"event": 7, "attempts": attempts_at(OTHER)}, a_row(2)]
    ours = Webhooks(IDS, lambda event_type, tenant_id, at_ms: True)
    reconciler = Reconciler(a_log(*rows), Store(), ours, lambda: NOW, id_retention_ms=2 * DAY, max_body_bytes=1000)

    statement = reconciler.run(NOW - 30 * DAY, NOW)

    assert (statement.unusable, statement.recovered, statement.is_complete) == (0, 1, True)
