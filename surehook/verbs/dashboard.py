"""`surehook dashboard`: rq-dashboard on our store."""

import click


@click.command()
def dashboard() -> None:
    """Show queues, jobs and dead letters in a browser (rq-dashboard)."""
    from surehook.dashboard.app import serve_dashboard
    from surehook.verbs.start import start

    serve_dashboard(start())
