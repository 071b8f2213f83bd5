import pytest

from surehook.shared.keys import Keys
from surehook.shared.scripts import RUN_IN_A_FULL_STORE, Script, linked

SHARED = """
-- Says nothing of far().
local FAR = 9  -- as near says

local function far(n)
  return n + FAR
end

local TABLE = {1,
  2}
local function near(n) return far(n) end
local function other(n) return near(n) end
"""


@pytest.mark.parametrize(
    ("script", "kept"),
    [
        pytest.param("return 1", [], id="nothing"),
        pytest.param("return FAR", ["local FAR = 9"], id="a constant"),
        pytest.param("return TABLE[1]", ["local TABLE = {1,", "  2}"], id="over several lines"),
        pytest.param(
            "return near(1)",
            [
                "local FAR = 9",
                "local function far(n)",
                "  return n + FAR",
                "end",
                "local function near(n) return far(n) end",
            ],
            id="through others, in their order",
        ),
        pytest.param("return 1  -- other(2)", [], id="a comment uses nothing"),
    ],
)
def test_a_script_gets_what_it_uses_and_nothing_else(script: str, kept: list[str]) -> None:
    assert linked(script, SHARED).splitlines()[:-1] == kept


def test_a_shared_line_that_defines_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no definition"):
        linked("return 1", "local A = 1\nA = 2\n")


@pytest.mark.parametrize("name", sorted(RUN_IN_A_FULL_STORE))
def test_a_script_for_a_full_store_has_the_flag_in_its_first_line(name: str) -> None:
    assert Script(name, Keys()).source.startswith(b"#!lua flags=allow-oom\n")


@pytest.mark.parametrize("name", ["accept", "txn_submit"])
def test_a_script_that_adds_data_has_no_flag(name: str) -> None:
    assert not Script(name, Keys()).source.startswith(b"#!")
