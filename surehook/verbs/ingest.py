"""`surehook ingest`: the door."""

import click

from ingest.server import serve
from surehook.verbs.start import start


@click.command()
def ingest() -> None:
    """Receive webhooks and put them on disk before answering."""
    serve(start())
