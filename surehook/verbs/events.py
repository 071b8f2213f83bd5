"""`surehook events`: lists, shows, follows, replays, resolves and erases events."""

from collections.abc import Mapping
from typing import ClassVar

import click

from surehook.verbs.lazy import LazyGroup


class Events(LazyGroup):
    """Each is imported when it is called: `erase` needs much that `list` does not."""

    commands_in: ClassVar[Mapping[str, str]] = {
        "erase": "events_erase:erase",
        "list": "events_list:list_",
        "replay": "events_replay:replay",
        "resolve": "events_resolve:resolve",
        "show": "events_list:show",
        "tail": "events_tail:tail",
    }


@click.group(cls=Events)
def events() -> None:
    """List, show, follow or erase events, run closed ones again, or resolve orphans."""
