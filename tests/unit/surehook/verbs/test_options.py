"""The filters of commands read times as the tables print them."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import click
import pytest
from click.testing import CliRunner

from surehook.verbs.options import filter_fields, filters
from surehook.verbs.tables import utc

PRINTED = datetime(2026, 11, 28, 7, 0, 20, tzinfo=UTC)


@pytest.fixture(autouse=True)
def far_from_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("given", [utc(PRINTED), "2026-11-28T07:00:20"])
def test_a_time_copied_from_a_table_is_the_same_time_in_a_filter(given: str) -> None:
    read: list[dict[str, Any]] = []

    @click.command()
    @filters("Received")
    def command(**options: Any) -> None:
        read.append(filter_fields(options))

    result = CliRunner().invoke(command, ["--since", given])

    assert result.output == ""
    assert [fields["since"] for fields in read] == [PRINTED]
