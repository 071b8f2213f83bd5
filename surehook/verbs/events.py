"""`surehook events`: what was received, and what became of it."""

import click

from surehook.verbs.events_erase import erase
from surehook.verbs.events_list import list_, show
from surehook.verbs.events_replay import replay


@click.group()
def events() -> None:
    """List, show or erase events, or run closed ones again."""


for command in (list_, show, replay, erase):
    events.add_command(command)
