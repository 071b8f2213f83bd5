"""`surehook simulate`: a FusionAuth whose users do things, for trying a receiver."""

import random
import secrets
import sys
import time
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING

import click

from surehook.shared.errors import Misconfigured
from surehook.shared.plural import counted
from surehook.shared.settings import host_and_port, load_settings
from surehook.shared.visible import visible_line
from surehook.verbs.output import echo

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator

    from surehook.fusionauth.simulator.instance import Instance
    from surehook.fusionauth.simulator.operations import Tally
    from surehook.fusionauth.simulator.population import Operation
    from surehook.fusionauth.simulator.run import Simulation
    from surehook.fusionauth.simulator.scenario import Scenario

REPORT_SECONDS = 1.0
DEFAULT_RATE = 10.0


@click.command()
@click.option(
    "--events",
    "limit",
    type=click.IntRange(1),
    help="How many to fire; by default until Ctrl-C.",
)
@click.option("--rate", type=click.FloatRange(0, min_open=True), help="Events a second.  [default: 10]")
@click.option("--seed", type=int, help="The same seed gives the same users and events; by default another each time.")
@click.option("--url", help="Where to send; by default to SUREHOOK_BIND and SUREHOOK_WEBHOOK_PATH.")
@click.option("--transaction", "setting", help="The tenant's setting for all types.  [default: None]")
@click.option("--api", "address", default="127.0.0.1:9011", show_default=True, help="Address of the API and the page.")
@click.option("--version", "version", help="The version of FusionAuth whose faults it has.")
@click.option("--scenario", "file", type=click.Path(path_type=Path), help="Steps with faults, from a TOML file.")
def simulate(
    limit: int | None,
    rate: float | None,
    seed: int | None,
    url: str | None,
    setting: str | None,
    address: str,
    version: str | None,
    file: Path | None,
) -> None:
    """Run a FusionAuth whose users register, log in and leave, and send its events to the endpoint.

    Its API shows them in a Webhook Event Log, and its page what was answered.
    """
    from surehook.fusionauth.simulator.run import Simulation

    if file is not None and not (limit is None and setting is None and version is None):
        raise click.UsageError("A scenario names its events, transactions and version: leave these options out.")
    settings = load_settings()
    scenario = _scenario(file, setting, version)
    seed = scenario.seed if seed is None else seed
    seed = random.randrange(1_000_000) if seed is None else seed  # noqa: S311 - a number to repeat a run with
    instance = _installation(scenario)
    api_key = secrets.token_urlsafe(24)
    instance.add_api_key(api_key)
    host, port = host_and_port(address)
    with Simulation(instance, settings, seed=seed, url=url, setting=setting or "None", host=host, port=port) as running:
        echo(f"FusionAuth {instance.version.text} (simulated), seed {seed}, sends to {running.target}")
        echo(f"Page and API: {running.url}  (API key: {api_key})")
        try:
            if file is None:
                _follow(running.run(rate=rate or DEFAULT_RATE, limit=limit), running.tally)
            else:
                _play(running, scenario, rate)
        except KeyboardInterrupt:
            pass
        echo("\r" * sys.stderr.isatty(), err=True, nl=False)
        echo(_counts(running.tally))
    if running.tally.failures:
        sys.exit(1)


def _scenario(file: Path | None, setting: str | None, version: str | None) -> "Scenario":
    """Returns the scenario of the file, or one for the options, whose steps are not used."""
    from surehook.fusionauth.simulator.quirks import NEWEST_VERSION, Version
    from surehook.fusionauth.simulator.scenario import Scenario, Step, load_scenario
    from surehook.fusionauth.transaction_setting import SETTINGS

    if file is not None:
        return load_scenario(file)
    if setting is not None and setting not in SETTINGS:
        raise Misconfigured(f"--transaction {setting}: expected one of {', '.join(SETTINGS)}")
    try:
        Version(version or NEWEST_VERSION)
    except ValueError as exc:
        raise Misconfigured(f"--version {version}: expected one such as {NEWEST_VERSION}") from exc
    return Scenario(version=version or NEWEST_VERSION, step=(Step(),))


def _installation(scenario: "Scenario") -> "Instance":
    from surehook.fusionauth.simulator.instance import Clock, Instance
    from surehook.fusionauth.simulator.quirks import Version

    return Instance(version=Version(scenario.version), quirks=scenario.quirks, now_ms=Clock())


def _play(running: "Simulation", scenario: "Scenario", rate: float | None) -> None:
    running.prepare(scenario)
    for number, step in enumerate(scenario.step, 1):
        before = copy(running.tally.statuses)
        _follow(running.play(number, step, rate=rate or step.rate or scenario.rate), running.tally)
        echo("\r" * sys.stderr.isatty(), err=True, nl=False)
        echo(f"{number}. {visible_line(step.name or 'step')}: {_answers(running.tally.statuses - before)}")


def _follow(operations: "Iterator[Operation]", tally: "Tally") -> None:
    reported_at = 0.0
    for _ in operations:
        if time.monotonic() >= reported_at and sys.stderr.isatty():
            reported_at = time.monotonic() + REPORT_SECONDS
            echo(f"\r{_counts(tally)}", err=True, nl=False)


def _answers(statuses: "Counter[int]") -> str:
    return (
        ", ".join(
            f"{count:,} {'without an answer' if status < 0 else f'answered {status}'}"
            for status, count in sorted(statuses.items())
        )
        or "none sent"
    )


def _counts(tally: "Tally") -> str:
    rolled_back = f"; {counted(tally.rolled_back, 'operation', 'operations')} rolled back" if tally.rolled_back else ""
    faults = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in sorted(tally.faults.items()))
    return (
        f"{counted(tally.events, 'event', 'events')} fired: {_answers(tally.statuses)}{rolled_back}"
        f"{f'; disturbed: {faults}' if faults else ''}"
    )
