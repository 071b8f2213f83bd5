"""P2 and P9 under everything at once: `make soak` for half a minute."""

import secrets

import pytest

from tests.support.soak.run import soak
from tests.support.soak.stretch import CALM_EVENTS


@pytest.mark.chaos
@pytest.mark.timeout(300)
def test_kills_stops_and_network_cuts_together_lose_no_event() -> None:
    seed = secrets.randbelow(10**6)
    told: list[str] = [f"SEED={seed}"]

    report = soak(20, seed, 60, told.append, longest_pause_seconds=1.0)

    assert report.findings.wrong == [], "\n".join([*told, report.text()])
    assert sum(report.faults.values()) > 5
    assert report.findings.counts["events accepted"] >= CALM_EVENTS
