"""`surehook config`: shows the settings in force and the source of each."""

import json
import os
import sys
from collections.abc import Mapping
from typing import Any

import click
from dotenv import dotenv_values
from pydantic import SecretStr

from surehook.shared.settings import PREFIX, SECRETS, Settings, load_settings

MASK = "********"


@click.command()
@click.option("--json", "is_json", is_flag=True, help="One JSON object, for other programs.")
def config(is_json: bool) -> None:
    """Show every setting, its value with secrets masked, and where it comes from."""
    settings = load_settings()
    found = origins()
    rows = {PREFIX + name.upper(): (_shown(settings, name), found[name]) for name in type(settings).model_fields}
    if is_json:
        click.echo(json.dumps({name: {"value": value, "from": origin} for name, (value, origin) in rows.items()}))
        return
    if not sys.stdout.isatty():
        for name, (value, origin) in rows.items():
            click.echo(f"{name}={_text(value)}\t{origin}")
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("setting", "value", "from", box=None, pad_edge=False, header_style="bold")
    for name, (value, origin) in rows.items():
        table.add_row(name, _text(value), origin, style=None if origin != "default" else "dim")
    Console(markup=False, highlight=False, soft_wrap=True).print(table)


def _shown(settings: Settings, name: str) -> Any:
    """Formats a value as JSON, with a mask for each secret, so that their number is visible."""
    value = getattr(settings, name)
    if name == "redis_url" and value is not None:
        return _without_password(value.get_secret_value())
    if isinstance(value, tuple):
        return [MASK if isinstance(each, SecretStr) else each for each in value]
    if isinstance(value, SecretStr):
        return MASK
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _without_password(url: str) -> str:
    """Returns the URL without its userinfo and query, which may contain passwords."""
    scheme, _, rest = url.partition("://")
    login, at, place = rest.partition("?")[0].rpartition("@")
    return f"{scheme}://{MASK if login else ''}{at}{place}"


def _text(value: Any) -> str:
    if value is None or value == []:
        return "-"
    return (
        ", ".join(value) if isinstance(value, list) else str(value).lower() if isinstance(value, bool) else str(value)
    )


def origins(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """For each field of Settings `environment`, `.env`, `default`, or the secret's file, in the order they are read."""
    env_file = str(Settings.model_config["env_file"])
    written = {name.upper() for name, value in dotenv_values(env_file).items() if value}
    given = {name.upper() for name, value in environ.items() if value}
    found = {}
    for field in Settings.model_fields:
        name = PREFIX + field.upper()
        file = environ.get(f"{name}_FILE") if field.upper() in SECRETS else None
        found[field] = file or _origin(name, given, written)
    return found


def _origin(name: str, given: set[str], written: set[str]) -> str:
    if name in given:
        return "environment"
    return ".env" if name in written else "default"
