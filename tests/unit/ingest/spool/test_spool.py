"""The spool checks its settings at the start."""

from pathlib import Path

import pytest

from surehook.ingest.spool.spool import check_spool
from surehook.shared.settings import Settings


@pytest.mark.parametrize(
    ("seconds", "has_spool", "is_warned"),
    [(1.9, False, False), (2.0, False, True), (0.5, True, False), (1.6, True, False), (1.7, True, True)],
)
def test_a_timeout_beyond_fusionauths_patience_is_named_at_the_start(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    seconds: float,
    *,
    has_spool: bool,
    is_warned: bool,
) -> None:
    spool_dir = str(tmp_path / "spool") if has_spool else "off"

    check_spool(Settings(api_keys="a-key-for-tests-only", spool_dir=spool_dir, store_timeout=seconds))

    assert ("store timeout long" in [each.message for each in caplog.records]) is is_warned
