"""`surehook worker`: runs the handlers."""

import sys

import click


@click.command()
@click.option("--queue", help="Only this queue. Without it: every queue the handlers use.")
@click.option(
    "--processes", default=1, show_default=True, type=click.IntRange(1), help="Worker processes for each queue."
)
@click.option(
    "--threads",
    default=8,
    show_default=True,
    type=click.IntRange(1, 512),
    help="Handlers that run at once in each process.",
)
@click.option(
    "--grace", type=click.FloatRange(0), help="Seconds that running handlers get at a stop.  [default: SUREHOOK_GRACE]"
)
@click.option("--ready-fd", type=click.IntRange(3), hidden=True)
def worker(queue: str | None, processes: int, threads: int, grace: float | None, ready_fd: int | None) -> None:
    """Run the handlers, with retries and dead letters. SIGHUP replaces the processes one by one, with new code."""
    from surehook.verbs.start import start
    from surehook.workers.supervisor.supervisor import Supervisor

    overrides = {} if grace is None else {"grace": grace}
    settings = start(**overrides)
    sys.exit(Supervisor(settings, processes, threads, queue=queue, overrides=overrides, ready_fd=ready_fd).run())
