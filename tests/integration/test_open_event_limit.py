"""The limit of open events, as the accept script keeps it."""

import redis

from harness.events import a_body, an_event
from surehook.shared.envelope import parse_envelope
from surehook.shared.scripts import Script
from surehook.shared.stats import StatsReader
from tests.integration.conftest import KEYS


def test_a_batch_is_stored_up_to_the_limit_and_its_duplicates_are_known(store: redis.Redis) -> None:
    script, events = Script("accept", KEYS), [parse_envelope(a_body(an_event())) for _ in range(4)]
    first, second, third, fourth = (
        (each.event_id, each.event_type, "", "", "", "webhook", each.body, "events", "30", "") for each in events
    )

    assert script.run(store, *first, *second, *third, 2) == [1, 1, -1]
    assert script.run(store, *second, *fourth, 2) == [0, -1]

    stats = StatsReader(store, KEYS).read()
    assert (stats.accepted, stats.open, stats.drift) == (2, 2, 0)
