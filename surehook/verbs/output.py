"""The one place through which commands print: text from the store or from a client cannot control the terminal."""

import click

from surehook.shared.visible import visible, visible_document, visible_json


def echo(text: str = "", *, err: bool = False, nl: bool = True) -> None:
    """Prints text, with control characters made visible."""
    click.echo(visible(text), err=err, nl=nl)


def echo_json(document: object) -> None:
    """Prints one line of JSON."""
    click.echo(visible_json(document))


def echo_body(body: bytes) -> None:
    """Prints a stored body, which is JSON or encrypted."""
    click.echo(visible_document(body.decode("utf-8", "replace")))
