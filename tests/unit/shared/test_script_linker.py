import pytest
from fakeredis import FakeStrictRedis

from surehook.shared.script_linker import linked

SHARED = """
-- Says nothing of far().
local FAR = 9  -- as near says
local NAME = 'far'

local function far(n)
  return n + FAR
end

local TABLE = {1,
  2}
local function near(n) return far(n) end
local function other(n) return near(n) end
"""
WITH_RARE_FUNCTIONS = """
local MOST = 5
local function most() return MOST end

local function first(n)  -- rare
  return most(), n
end

local function usual(n) return select(2, first(n)) end

local function second()  -- rare
  return usual(1) + first(2)
end
"""


@pytest.mark.parametrize(
    ("script", "kept"),
    [
        pytest.param("return 1", [], id="nothing"),
        pytest.param("return TABLE[1]", ["local TABLE = {1,", "  2}"], id="over several lines"),
        pytest.param(
            "return near(1)",
            ["local function far(n)", "  return n + 9", "end", "local function near(n) return far(n) end"],
            id="through others, in their order",
        ),
        pytest.param("return 1  -- other(2)", [], id="a comment uses nothing"),
    ],
)
def test_a_script_gets_what_it_uses_and_nothing_else(script: str, kept: list[str]) -> None:
    assert linked(script, SHARED).splitlines()[:-1] == kept


@pytest.mark.parametrize(
    ("script", "result"),
    [
        pytest.param("return FAR", "return 9", id="a number"),
        pytest.param("return NAME .. FAR_FROM", "return 'far' .. FAR_FROM", id="not in a longer word"),
        pytest.param("return 'NAME' .. NAME", "return 'NAME' .. 'far'", id="not in a string"),
    ],
)
def test_a_constant_is_written_where_it_is_used(script: str, result: str) -> None:
    assert linked(script, SHARED) == result


def test_a_shared_line_that_defines_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no definition"):
        linked("return 1", "local A = 1\nA = 2\n")


@pytest.mark.parametrize(
    ("script", "result"),
    [
        pytest.param("return (first(7))", 5, id="the first of several values"),
        pytest.param("return {first(7)}", [5, 7], id="several values"),
        pytest.param("return usual(7)", 7, id="called by a function in front of it"),
        pytest.param("return second()", 6, id="without arguments, calling another rare one"),
        pytest.param("return {second(), second(), usual(3)}", [6, 6, 3], id="several calls"),
        pytest.param("return 'first' .. 'second()'", b"firstsecond()", id="only named in strings"),
    ],
)
def test_a_rare_function_works_as_any_other(script: str, result: object) -> None:
    store = FakeStrictRedis()

    assert store.eval(linked(script, WITH_RARE_FUNCTIONS), 0) == result


def test_rare_functions_are_created_only_by_the_first_call_of_one() -> None:
    lines = linked("if ARGV[1] then return first(7) end", WITH_RARE_FUNCTIONS).splitlines()

    assert lines[0] == "local rarely"
    assert "  local function first(n)" in lines[lines.index("rarely = function(name, ...)") :]
    assert not [line for line in lines if line.startswith("local function first")]


def test_a_function_that_only_rare_ones_use_is_created_with_them() -> None:
    shared = "local function mean(n) return n + 1 end\n" + "local function first(n)  -- rare\n  return mean(n)\nend\n"

    lines = linked("return first(1)", shared).splitlines()
    assert "  local function mean(n) return n + 1 end" in lines
    assert FakeStrictRedis().eval(linked("return first(1)", shared), 0) == 2
    assert "local function mean(n) return n + 1 end" in linked("return first(mean(1))", shared).splitlines()


def test_a_rare_function_that_is_passed_on_is_refused() -> None:
    with pytest.raises(ValueError, match="a rare function can only be called"):
        linked("return pcall(first, 1)", WITH_RARE_FUNCTIONS)
