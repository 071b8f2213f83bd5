"""The operator's page: its commands run, called in this process, for each start of one costs a second."""

import re
import shlex
from pathlib import Path

import pytest

from surehook.shared.settings import Settings
from tests.integration.conftest import Accept
from tests.support.command import command_on

PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text("utf-8")
COMMANDS = [
    line.removeprefix(".venv/bin/surehook ")
    for block in re.findall(r"<!-- run -->\n+```sh\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines()
]


def test_its_commands_run(accept: Accept, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    surehook = command_on(settings, monkeypatch)
    accept()

    assert len(COMMANDS) == 8
    for command in COMMANDS:
        status, output = surehook(*shlex.split(command))
        assert status == 0, (command, output)
        assert output, command


def test_every_command_it_names_exists(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    surehook = command_on(settings, monkeypatch)
    named = set(re.findall(r"`surehook ((?:dead-letters|events|queues) \w+|ledger)", PAGE))

    assert len(named) >= 5
    for words in named:
        assert surehook(*words.split(), "--help")[0] == 0, words
