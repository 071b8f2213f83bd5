"""`surehook config`: shows the settings in force and the source of each."""

import sys
from typing import Any

import click
from pydantic import SecretStr

from surehook.shared.errors import Misconfigured
from surehook.shared.settings import Settings, build_settings, found_settings
from surehook.shared.sources import PREFIX, Found
from surehook.shared.visible import visible_line
from surehook.verbs.output import echo, echo_json

MASK = "********"


@click.command()
@click.option("--json", "is_json", is_flag=True, help="One JSON object, for other programs.")
def config(is_json: bool) -> None:
    """Show every setting, its value with secrets masked, and where it comes from."""
    found = found_settings()
    _show(_rows(build_settings(found), found), is_json=is_json)
    if found.unknown:
        raise Misconfigured("\n".join(each.sentence for each in found.unknown))


def _rows(settings: Settings, found: Found) -> dict[str, tuple[Any, str]]:
    """The value and the origin of each setting, and of each unknown variable no value, as it may be a secret."""
    rows = {PREFIX + name.upper(): (_shown(settings, name), _origin(name, found)) for name in Settings.model_fields}
    return rows | {each.name: (None, f"{each.origin}, no setting") for each in found.unknown}


def _show(rows: dict[str, tuple[Any, str]], *, is_json: bool) -> None:
    if is_json:
        echo_json({name: {"value": value, "from": origin} for name, (value, origin) in rows.items()})
        return
    if not sys.stdout.isatty():
        for name, (value, origin) in rows.items():
            echo(f"{visible_line(name)}={visible_line(_text(value))}\t{visible_line(origin)}")
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("setting", "value", "from", box=None, pad_edge=False, header_style="bold")
    for name, (value, origin) in rows.items():
        table.add_row(*map(visible_line, (name, _text(value), origin)), style=None if origin != "default" else "dim")
    Console(markup=False, emoji=False, highlight=False, soft_wrap=True).print(table)


def _shown(settings: Settings, name: str) -> Any:
    """Formats a value as JSON, with a mask for each secret, so that their number is visible."""
    value = getattr(settings, name)
    if isinstance(value, tuple):
        return [MASK if isinstance(each, SecretStr) else each for each in value]
    if isinstance(value, SecretStr):
        return MASK
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _text(value: Any) -> str:
    if value is None or value == []:
        return "-"
    return (
        ", ".join(value) if isinstance(value, list) else str(value).lower() if isinstance(value, bool) else str(value)
    )


def _origin(name: str, found: Found) -> str:
    return found.given[name].origin if name in found.given else "default"
