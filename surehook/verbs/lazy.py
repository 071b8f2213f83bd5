"""A group of commands that are imported when they are called."""

from collections.abc import Mapping
from importlib import import_module
from typing import ClassVar

import click


class LazyGroup(click.Group):
    """`commands_in` maps each command's name to the module and the name of its function there, as in `module:name`."""

    commands_in: ClassVar[Mapping[str, str]] = {}

    def list_commands(self, _: click.Context) -> list[str]:
        return sorted(self.commands_in)

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        if name not in self.commands_in:
            return None
        module, function = self.commands_in[name].split(":")
        found: click.Command = getattr(import_module(f"surehook.verbs.{module}"), function)
        return found
