"""`surehook simulate`: a FusionAuth whose users do things, for trying a receiver."""

import random
import secrets
import sys
import time
from typing import TYPE_CHECKING

import click

from surehook.shared.errors import Misconfigured
from surehook.shared.settings import host_and_port, load_settings
from surehook.verbs.output import echo

if TYPE_CHECKING:
    from surehook.fusionauth.simulator.operations import Tally

REPORT_SECONDS = 1.0


@click.command()
@click.option(
    "--events",
    "limit",
    type=click.IntRange(1),
    help="How many to fire; by default until Ctrl-C.",
)
@click.option(
    "--rate", default=10.0, show_default=True, type=click.FloatRange(0, min_open=True), help="Events a second."
)
@click.option("--seed", type=int, help="The same seed gives the same users and events; by default another each time.")
@click.option("--url", help="Where to send; by default to SUREHOOK_BIND and SUREHOOK_WEBHOOK_PATH.")
@click.option("--transaction", "setting", default="None", show_default=True, help="The tenant's setting for all types.")
@click.option("--api", "address", default="127.0.0.1:9011", show_default=True, help="Address of the API and the page.")
@click.option("--version", "version", help="The version of FusionAuth whose faults it has.")
def simulate(
    limit: int | None, rate: float, seed: int | None, url: str | None, setting: str, address: str, version: str | None
) -> None:
    """Run a FusionAuth whose users register, log in and leave, and send its events to the endpoint.

    Its API shows them in a Webhook Event Log, and its page what was answered.
    """
    from surehook.fusionauth.simulator.instance import Instance
    from surehook.fusionauth.simulator.quirks import NEWEST_VERSION, Version
    from surehook.fusionauth.simulator.run import Simulation
    from surehook.fusionauth.transaction_setting import SETTINGS

    if setting not in SETTINGS:
        raise Misconfigured(f"--transaction {setting}: expected one of {', '.join(SETTINGS)}")
    settings = load_settings()
    seed = random.randrange(1_000_000) if seed is None else seed  # noqa: S311 - a number to repeat a run with
    try:
        instance = Instance(version=Version(version or NEWEST_VERSION))
    except ValueError as exc:
        raise Misconfigured(f"--version {version}: expected one such as {NEWEST_VERSION}") from exc
    api_key = secrets.token_urlsafe(24)
    instance.add_api_key(api_key)
    host, port = host_and_port(address)
    with Simulation(instance, settings, seed=seed, url=url, setting=setting, host=host, port=port) as simulation:
        echo(f"FusionAuth {instance.version.text} (simulated), seed {seed}, sends to {simulation.target}")
        echo(f"Page and API: {simulation.url}  (API key: {api_key})")
        reported_at = 0.0
        try:
            for _ in simulation.run(rate=rate, limit=limit):
                if time.monotonic() >= reported_at and sys.stderr.isatty():
                    reported_at = time.monotonic() + REPORT_SECONDS
                    echo(f"\r{_counts(simulation.tally)}", err=True, nl=False)
        except KeyboardInterrupt:
            pass
        echo("\r" * sys.stderr.isatty(), err=True, nl=False)
        echo(_counts(simulation.tally))
    if simulation.tally.failures:
        sys.exit(1)


def _counts(tally: "Tally") -> str:
    answers = ", ".join(
        f"{count:,} {'without an answer' if status < 0 else f'answered {status}'}"
        for status, count in sorted(tally.statuses.items())
    )
    rolled_back = f"; {tally.rolled_back:,} operations rolled back" if tally.rolled_back else ""
    return f"{tally.events:,} events fired: {answers or 'none sent'}{rolled_back}"
