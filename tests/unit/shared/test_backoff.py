import pytest

from surehook.shared.backoff import pause_seconds


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [
        pytest.param(0, 0.1, id="first"),
        pytest.param(1, 0.2, id="second"),
        pytest.param(4, 1.6, id="fifth"),
        pytest.param(5, 2.0, id="bounded"),
        pytest.param(100_000, 2.0, id="after days"),
    ],
)
def test_a_pause_doubles_up_to_its_bound(failures: int, seconds: float) -> None:
    assert pause_seconds(failures, first_seconds=0.1, longest_seconds=2.0) == seconds
