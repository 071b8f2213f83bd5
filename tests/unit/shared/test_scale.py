"""How many worker processes are wanted."""

import pytest

from surehook.shared.scale import scale_of
from surehook.shared.stats import QueueStats


def a_queue(name: str, waiting: int, running: int, age: float, *, is_paused: bool = False) -> QueueStats:
    return QueueStats(name, waiting, running, 7, 7, 7, is_paused, age, workers=1)


@pytest.mark.parametrize(
    ("queues", "jobs_per_process", "expected"),
    [
        pytest.param([], 100, (0, 0, 0.0, 1), id="nothing"),
        pytest.param([a_queue("events", 0, 8, 0.0)], 100, (0, 8, 0.0, 1), id="one process is enough"),
        pytest.param([a_queue("events", 92, 8, 3.5)], 100, (92, 8, 3.5, 1), id="just enough"),
        pytest.param([a_queue("events", 93, 8, 3.5)], 100, (93, 8, 3.5, 2), id="one job more"),
        pytest.param([a_queue("a", 30, 0, 1.0), a_queue("b", 25, 5, 9.0)], 10, (55, 5, 9.0, 6), id="two queues"),
        pytest.param([a_queue("a", 1000, 4, 99.0, is_paused=True)], 10, (0, 4, 0.0, 1), id="a paused queue"),
    ],
)
def test_jobs_that_wait_and_run_want_processes(
    queues: list[QueueStats], jobs_per_process: int, expected: tuple[int, int, float, int]
) -> None:
    scale = scale_of(queues, jobs_per_process, is_suspended=False)

    assert tuple(scale.values()) == expected
    assert list(scale) == ["waiting", "running", "oldest_waiting_seconds", "wanted_processes"]


def test_suspended_queues_want_no_more_processes() -> None:
    assert scale_of([a_queue("a", 1000, 0, 9.0)], 10, is_suspended=True)["wanted_processes"] == 1
