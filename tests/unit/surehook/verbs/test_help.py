"""The help of every command fits a terminal of 80 columns."""

from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from surehook.main import cli

WIDTH = 80


def commands_of(group: click.Group, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        yield (*words, name)
        if isinstance(command, click.Group):
            yield from commands_of(command, (*words, name))


@pytest.mark.parametrize("words", [pytest.param(words, id=" ".join(words)) for words in commands_of(cli)])
def test_the_help_fits_a_terminal(words: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(cli, [*words, "--help"], terminal_width=WIDTH)

    assert shown.exit_code == 0
    assert [line for line in shown.output.splitlines() if len(line) > WIDTH] == []


@pytest.mark.parametrize("given", ["yesterday", "999999d"])
def test_a_time_that_is_none_is_answered_with_an_example(given: str) -> None:
    shown = CliRunner().invoke(cli, ["events", "list", "--since", given])

    assert shown.exit_code == 2
    assert "expected one in UTC such as 2026-11-29T14:05, or 2h for two hours ago" in shown.output
