"""When a worker process leaves for a fresh one."""

from pathlib import Path

import pytest

from surehook.workers.maintenance.recycling import Recycling
from surehook.workers.slots import Slots


def test_a_process_that_cannot_open_another_file_is_not_too_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_descriptor_left(_: Path) -> str:
        raise OSError(24, "Too many open files")

    slots, stops = Slots.create(tmp_path / "slots", 1), list[bool]()
    leaving = Recycling(slots, "events", jobs=0, mib=1, finished=lambda: 0, stop=lambda: stops.append(True))
    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_text", no_descriptor_left)

        leaving.tick(7.0)

    assert (slots.last_heartbeat_at, stops) == (7.0, [])
    leaving.tick(8.0)
    assert stops == [True]
