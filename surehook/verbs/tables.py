"""Formats lists: tables that fit the terminal, whole lines in a pipe. Times are UTC."""

import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from surehook.shared.visible import visible_line
from surehook.verbs.output import echo

SHORT_ID = 8  # characters of an id on a terminal: every command that shows or replays takes them
COLOURS = {
    "done": "green",
    "completed": "green",
    "running": "cyan",
    "scheduled": "yellow",
    "deferred": "yellow",
    "waiting": "yellow",
    "dead": "red",
    "failed": "red",
    "abandoned": "red",
    "orphaned": "red",
    "rejected": "magenta",
    "paused": "yellow",
}


def utc(instant: datetime | None) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S") if instant else "?"


def echo_table(headers: Sequence[str], rows: Iterable[Sequence[str]], *, whole_ids: bool = False) -> None:
    """Prints rows whose first cell is an id; prints nothing without rows."""
    if not sys.stdout.isatty():
        for number, row in enumerate(rows):
            if number == 0:
                echo("  ".join(headers))
            echo("  ".join(map(visible_line, row)).rstrip())
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, header in enumerate(headers):
        table.add_column(header, overflow="fold", no_wrap=number == 0 or header.endswith("(UTC)"))
    for first, *others in rows:
        shown = first if whole_ids else first[:SHORT_ID]
        # As Text, since rich would read square brackets in a string as its own markup.
        cells = (Text(visible_line(cell), style=COLOURS.get(cell.strip(), "")) for cell in others)
        table.add_row(Text(visible_line(shown)), *cells)
    if table.row_count:
        Console(markup=False, emoji=False, highlight=False).print(table)
