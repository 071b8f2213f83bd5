"""The one place through which commands print: text from the store or from a client cannot control the terminal."""

import os
import sys
import textwrap

import click

from surehook.shared.tracebacks import coloured
from surehook.shared.visible import visible, visible_document, visible_json


def echo(text: str = "", *, err: bool = False, nl: bool = True) -> None:
    """Prints text, with control characters made visible."""
    click.echo(visible(text), err=err, nl=nl)


def echo_coloured(line: str, part: str, colour: str | None) -> None:
    """Prints a line with its first such part in a colour."""
    shown = visible(line)
    click.echo(shown.replace(part, click.style(part, fg=colour), 1) if colour else shown)


def echo_json(document: object) -> None:
    """Prints one line of JSON."""
    click.echo(visible_json(document))


def echo_traceback(text: str) -> None:
    """Prints a stored traceback below the attempt that it belongs to; nothing if there is none."""
    if text:
        shown = coloured(text) if sys.stdout.isatty() and "NO_COLOR" not in os.environ else visible(text)
        click.echo(textwrap.indent(shown.rstrip(), "    "))


def echo_body(body: bytes) -> None:
    """Prints a stored body, which is JSON or encrypted."""
    click.echo(visible_document(body.decode("utf-8", "replace")))
