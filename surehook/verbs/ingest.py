"""`surehook ingest`: receives webhooks."""

import sys

import click


@click.command()
@click.option(
    "--processes",
    type=click.IntRange(1),
    help="Processes that share the address; SIGHUP replaces them. Without it: one process, no supervisor.",
)
def ingest(processes: int | None) -> None:
    """Receive webhooks and put them on disk before answering."""
    from surehook.ingest.server import serve
    from surehook.ingest.supervisor import Supervisor
    from surehook.verbs.start import start

    settings = start()
    if processes is None:
        serve(settings)
        return
    sys.exit(Supervisor(settings, processes).run())
