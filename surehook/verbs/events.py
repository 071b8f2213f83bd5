"""`surehook events`: lists, shows, replays, resolves and erases events."""

import click

from surehook.verbs.events_erase import erase
from surehook.verbs.events_list import list_, show
from surehook.verbs.events_replay import replay
from surehook.verbs.events_resolve import resolve


@click.group()
def events() -> None:
    """List, show or erase events, run closed ones again, or resolve orphans."""


for command in (list_, show, replay, resolve, erase):
    events.add_command(command)
