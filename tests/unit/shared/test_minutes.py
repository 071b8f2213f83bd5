"""Counts of runs by minute."""

import pytest

from surehook.shared.minutes import MOST_FIELDS, HandlerCounts, MinuteCounts, bucket_of, seconds_of


@pytest.mark.parametrize("seconds", [0.0011, 0.005, 0.037, 0.5, 1.0, 29.9, 3600.0, 86_400.0])
def test_a_duration_is_known_to_within_a_tenth(seconds: float) -> None:
    assert seconds_of(bucket_of(seconds)) == pytest.approx(seconds, rel=0.1)


@pytest.mark.parametrize("seconds", [0.0, 0.001, 1e-9])
def test_what_takes_no_time_takes_a_millisecond(seconds: float) -> None:
    assert seconds_of(bucket_of(seconds)) == 0.001


def test_counts_are_taken_once_by_minute() -> None:
    now = [60.0 * 7]
    counts = MinuteCounts(lambda: now[0])
    for seconds in (0.01, 0.01, 5.0):
        counts.add("it", "done", seconds)
    first = counts.take()
    now[0] += 60
    counts.add("it", "failed", 5.0)
    counts.add_unhandled("user.create")
    second = counts.take()

    assert (7, "r:it:done", 3) in first
    assert sorted(number for _, name, number in first if name.startswith("t:it:")) == [1, 2]
    assert {(8, "r:it:failed", 1), (8, "r:-:user.create", 1)} < set(second)
    assert counts.take() == []


def test_the_fields_are_bounded() -> None:
    counts = MinuteCounts()
    for number in range(2 * MOST_FIELDS):
        counts.add_unhandled(f"type.{number}")

    assert len(counts.take()) == MOST_FIELDS


def test_quantiles() -> None:
    counts = HandlerCounts()
    assert counts.quantile_seconds(0.5) is None
    for seconds in [0.01] * 90 + [2.0] * 10:
        counts.durations[bucket_of(seconds)] += 1

    assert counts.quantile_seconds(0.5) == pytest.approx(0.01, rel=0.1)
    assert counts.quantile_seconds(0.95) == pytest.approx(2.0, rel=0.1)
