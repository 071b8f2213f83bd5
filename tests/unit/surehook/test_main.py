"""The command: every verb is there, and brings along only what it needs."""

import subprocess
import sys

import click
import pytest

from surehook.main import VERBS, cli

OF_OTHERS = ("ingest", "starlette", "uvicorn", "rq_dashboard", "flask", "httpx")


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_is_a_command_of_its_name(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)

    assert command is not None
    assert command.name == name


def test_an_unknown_verb_is_none() -> None:
    assert cli.get_command(click.Context(cli), "workr") is None


def test_a_worker_loads_nothing_of_the_endpoint_or_the_dashboard() -> None:
    code = "import sys, click; from surehook.main import cli; cli.get_command(click.Context(cli), 'worker'); "
    code += f"print([name for name in {OF_OTHERS} if name in sys.modules])"

    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert loaded.strip() == "[]"


def test_the_package_alone_loads_no_event_classes() -> None:
    code = "import sys, surehook; print([name for name in sys.modules if name.startswith(('pydantic', 'surehook.'))])"

    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert loaded.strip() == "[]"
