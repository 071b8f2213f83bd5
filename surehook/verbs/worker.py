"""`surehook worker`: runs the handlers."""

import sys

import click


@click.command()
@click.option("--queue", help="Only this queue. Without it: every queue the handlers use.")
@click.option(
    "--processes", default=1, show_default=True, type=click.IntRange(1), help="Worker processes for each queue."
)
@click.option(
    "--threads", default=8, show_default=True, type=click.IntRange(1, 512), help="Handler threads in each process."
)
@click.option(
    "--grace", type=click.FloatRange(0), help="Seconds that running handlers get at a stop.  [default: SUREHOOK_GRACE]"
)
def worker(queue: str | None, processes: int, threads: int, grace: float | None) -> None:
    """Run the handlers, with retries and dead letters. SIGHUP replaces the processes one by one, with new code."""
    from surehook.shared.child_processes import EXIT_SECONDS, exit_within
    from surehook.shared.keys import TRANSACTIONAL_QUEUE
    from surehook.shared.transactional_events import transactional_types
    from surehook.verbs.start import load_registry, start
    from surehook.workers.handlers.loader import require_agreement
    from surehook.workers.rights import require_rights
    from surehook.workers.supervisor.plan import Plan, queues_of
    from surehook.workers.supervisor.supervisor import Supervisor

    overrides = {} if grace is None else {"grace": grace}
    settings = start(**overrides)
    registry = load_registry(settings)
    queues = queues_of(registry, queue)
    if TRANSACTIONAL_QUEUE in queues:
        require_agreement(registry, transactional_types(settings.transactional_events))
    require_rights(settings)
    plan = Plan(settings, registry, queues)
    status = Supervisor(plan, processes, threads, queue=queue, overrides=overrides).run()
    exit_within(EXIT_SECONDS, status)  # the modules may have started threads here, too
    sys.exit(status)
