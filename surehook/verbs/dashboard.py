"""`surehook dashboard`: the web pages."""

import os

import click


@click.command()
def dashboard() -> None:
    """Show events, what failed and why, queues and handlers in a browser."""
    from surehook.shared.keys import Keys
    from surehook.verbs.start import start

    settings = start()
    os.environ["RQ_KEY_PREFIX"] = Keys(settings.key_prefix).rq  # RQ reads it when it is imported
    from surehook.dashboard.app import serve_dashboard

    serve_dashboard(settings)
