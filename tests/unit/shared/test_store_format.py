import pytest

from surehook.shared.errors import IncompatibleStore
from surehook.shared.store_format import StoreFormat


@pytest.mark.parametrize(
    ("build", "stored", "must_be_written"),
    [
        pytest.param(StoreFormat(1, 1), None, True, id="an empty store, or one from before the number"),
        pytest.param(StoreFormat(1, 1), b"1", False, id="its own"),
        pytest.param(StoreFormat(3, 1), b"2", True, id="an older one is raised"),
        pytest.param(StoreFormat(3, 1), None, True, id="one from before the number is raised"),
    ],
)
def test_a_build_uses_what_it_can_read(build: StoreFormat, stored: bytes | None, must_be_written: bool) -> None:
    assert build.must_be_written(stored) is must_be_written


@pytest.mark.parametrize(
    ("build", "stored"),
    [
        pytest.param(StoreFormat(1, 1), b"2", id="a newer one"),
        pytest.param(StoreFormat(3, 2), b"1", id="one that is too old"),
        pytest.param(StoreFormat(3, 2), None, id="one from before the number, too old"),
        pytest.param(StoreFormat(1, 1), b"one", id="no number"),
        pytest.param(StoreFormat(1, 1), b"-1", id="a negative number"),
        pytest.param(StoreFormat(1, 1), b"", id="nothing"),
        pytest.param(StoreFormat(1, 1), b"\xff", id="no text"),
    ],
)
def test_a_build_refuses_what_it_cannot_read(build: StoreFormat, stored: bytes | None) -> None:
    with pytest.raises(IncompatibleStore, match=r"the store has format .*: use the version that wrote it"):
        build.must_be_written(stored)
