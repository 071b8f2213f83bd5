"""The store refuses the name of a function that does not exist only when a script comes to it."""

import re
from pathlib import Path

import pytest

from surehook.shared import scripts
from surehook.shared.keys import Keys
from surehook.shared.scripts import Script

NAMES = sorted(file.stem for file in Path(str(scripts.__file__)).with_name("scripts").glob("*.lua"))
LUA = set("assert error ipairs next pairs pcall select tonumber tostring type unpack".split())  # noqa: SIM905
KEYWORDS = set("and elseif for function if in local not or return until while".split())  # noqa: SIM905
CALL = re.compile(r"(?<![.:\w])([a-z_]\w*)\s*\(")


def undefined_calls(source: str) -> set[str]:
    code = re.sub(r"--[^\n]*|'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"", "", source)
    functions = set(re.findall(r"function\s+(\w+)", code))
    variables = set(re.findall(r"\w+", " ".join(re.findall(r"local\s+([\w\s,]+?)\s*(?:=|\n)", code))))
    parameters = set(re.findall(r"\w+", " ".join(re.findall(r"function\s*\w*\s*\(([^)]*)\)", code))))
    return set(CALL.findall(code)) - LUA - KEYWORDS - functions - variables - parameters


@pytest.mark.parametrize("name", NAMES)
def test_every_function_that_a_script_calls_exists(name: str) -> None:
    assert undefined_calls(Script(name, Keys()).source.decode()) == set()


def test_a_call_of_an_old_name_is_found() -> None:
    assert undefined_calls("local function wake_workers(count) end\nwake_worker()") == {"wake_worker"}
