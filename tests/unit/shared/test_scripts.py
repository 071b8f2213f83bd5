import pytest

from surehook.shared.keys import Keys
from surehook.shared.scripts import RUN_IN_A_FULL_STORE, Script


@pytest.mark.parametrize("name", sorted(RUN_IN_A_FULL_STORE))
def test_a_script_for_a_full_store_has_the_flag_in_its_first_line(name: str) -> None:
    assert Script(name, Keys()).source.startswith(b"#!lua flags=allow-oom\n")


@pytest.mark.parametrize("name", ["accept", "txn_submit"])
def test_a_script_that_adds_data_has_no_flag(name: str) -> None:
    assert not Script(name, Keys()).source.startswith(b"#!")
