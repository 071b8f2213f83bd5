"""The pages about FusionAuth name commands and options that exist."""

import re
import shlex
from pathlib import Path

import pytest

from surehook.shared.settings import Settings
from tests.support.command import command_on

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "fusionauth.md").read_text("utf-8")
CONFORMANCE = (DOCS / "conformance.md").read_text("utf-8")
COMMANDS = [
    line for block in re.findall(r"```sh\n(.*?)```", PAGE + CONFORMANCE, re.DOTALL) for line in block.splitlines()
]


@pytest.mark.parametrize("command", COMMANDS)
def test_its_commands_exist(command: str, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    program, *words = shlex.split(command, comments=True)

    status, output = command_on(settings, monkeypatch)(*words, "--help")

    assert (program, status) == ("surehook", 0), output


def test_its_options_exist(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    surehook = command_on(settings, monkeypatch)
    sections = re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
    for title, section in [*sections, ("conformance", CONFORMANCE)]:
        verb = title.lower()
        known = surehook(verb, "--help")[1]
        assert {option for option in re.findall(r"`(--[\w-]+)", section) if option not in known} == set(), verb
