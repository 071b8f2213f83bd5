"""`surehook connect`: sets FusionAuth up so that it sends to this endpoint."""

import sys
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from surehook.shared.errors import Misconfigured
from surehook.shared.exit_status import FAILED
from surehook.shared.keys import Keys
from surehook.shared.settings import Settings, load_settings
from surehook.shared.store import connect as connect_to_store
from surehook.verbs.env_file import ENV_FILE, append_to_env_file
from surehook.verbs.output import echo

if TYPE_CHECKING:
    from surehook.fusionauth.client import FusionAuthClient
    from surehook.fusionauth.connection.plan import Plan
    from surehook.fusionauth.connection.steps import Outcome
    from surehook.fusionauth.doctor.access import Installation

STORE_TIMEOUT_SECONDS = 5.0
WAIT_SECONDS = 60.0


@click.command()
@click.option(
    "--url", help="Where FusionAuth reaches the endpoint; by default where its webhook leads, or SUREHOOK_BIND."
)
@click.option("--tenant", "tenants", multiple=True, help="Only this tenant's id; several times for several.")
@click.option("--yes", "is_agreed", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Show the plan, change nothing.")
@click.option(
    "--wait",
    "wait_seconds",
    type=click.FloatRange(0),
    help="Seconds to wait for a delivery as proof.  [default: 60 on a terminal, else 0]",
)
def connect(
    url: str | None, tenants: tuple[str, ...], is_agreed: bool, dry_run: bool, wait_seconds: float | None
) -> None:
    """Create or adjust FusionAuth's webhook, signing key, event switches and event log.

    Shows the plan and asks first. A second run finds nothing to do.
    """
    from surehook.fusionauth.client import open_client
    from surehook.fusionauth.connection.goal import goal_of
    from surehook.fusionauth.connection.plan import plan_for
    from surehook.fusionauth.doctor.access import read_installation
    from surehook.verbs.start import load_registry

    settings = load_settings()
    registry = load_registry(settings)
    with open_client(settings) as client:
        found = read_installation(client, settings)
        goal = goal_of(settings, registry, found, url=url or _default_url(settings, found), tenant_ids=tenants)
        plan = plan_for(settings, goal, found)
        echo(f"FusionAuth {found.version} at {client.url}")
        if not plan.steps:
            echo("Nothing to do: it sends here already.")
        for number, step in enumerate(plan.steps, 1):
            echo(f"  {number}. {step.text}")
        if dry_run:
            return
        if plan.steps:
            _apply(plan, client, is_agreed=is_agreed)
        seconds = (WAIT_SECONDS if sys.stdout.isatty() else 0.0) if wait_seconds is None else wait_seconds
        webhook_id = plan.outcome.webhook_id or str(found.ours[0]["id"])
        _prove(settings, client, webhook_id, seconds, is_restart_due=bool(plan.outcome.env or plan.outcome.secrets))


def _default_url(settings: Settings, found: "Installation") -> str:
    from surehook.fusionauth.own_endpoint import endpoint_url

    if len(found.ours) > 1:
        raise Misconfigured(
            f"{len(found.ours)} of FusionAuth's webhooks lead here, and each event comes as often: delete all but one "
            "in FusionAuth (Settings > Webhooks), then run this again"
        )
    if not found.ours:
        return endpoint_url(settings)
    # A slash too many is answered 404.
    return urlsplit(str(found.ours[0]["url"]))._replace(path=settings.webhook_path).geturl()


def _apply(plan: "Plan", client: "FusionAuthClient", *, is_agreed: bool) -> None:
    if not is_agreed:
        if not sys.stdin.isatty():
            raise Misconfigured("there is no terminal to ask on: give --yes, or --dry-run to see the plan alone")
        click.confirm("Do this?", abort=True)
    outcome = plan.outcome
    outcome.on_undo, outcome.on_secret = _show_undo, lambda name, value: _write({name: value})
    try:
        plan.apply(client)
        echo("Done.")
    finally:
        _report(outcome)


def _show_undo(request: str) -> None:
    """Shows at once how to undo a step: the run may be killed in the next one."""
    echo(f"  done; to undo it: {request}")


def _write(settings: dict[str, str]) -> None:
    append_to_env_file("".join(f"{name}={value}\n" for name, value in settings.items()))
    echo(f"Written to {ENV_FILE}: {', '.join(settings)}")


def _report(outcome: "Outcome") -> None:
    """Also after a step failed: what was done before it stays."""
    if outcome.env:
        _write(outcome.env)
    if outcome.undo:
        echo("To undo it, send to FusionAuth's API, in this order:")
    for line in reversed(outcome.undo):
        echo(f"  {line}")
    if written := [*outcome.secrets, *outcome.env]:
        echo(f"  and remove {', '.join(written)} from {ENV_FILE}")


def _prove(
    settings: Settings, client: "FusionAuthClient", webhook_id: str, seconds: float, *, is_restart_due: bool
) -> None:
    from surehook.fusionauth.connection.proof import Proof

    if is_restart_due:
        echo("Now restart `surehook ingest` (or `surehook dev`): it verifies signatures from then on.")
        echo("Until then a delivery proves the way, and not its signature.")
    if not seconds:
        echo("Proof: cause an event, such as a login, then `surehook doctor` shows how it was answered.")
        return
    echo(f"Proof: cause an event in FusionAuth now, such as a login. Waiting up to {seconds:.0f} s (Ctrl-C to skip) …")
    with connect_to_store(settings, timeout_seconds=STORE_TIMEOUT_SECONDS) as store:
        proof = Proof(client, store, Keys(settings.key_prefix), webhook_id)
        try:
            delivery = proof.wait(proof.known(int(time.time() * 1000)), seconds)
        except KeyboardInterrupt:
            return
    if delivery is None:
        echo("No event was sent here in that time; `surehook doctor` shows the next one.")
        return
    what = f"FusionAuth sent {delivery.event_type} {delivery.event_id} and got "
    if delivery.is_success:
        stored = "the store has it" if delivery.is_stored else "this store does not have it: is it another endpoint's?"
        echo(f"{what}{delivery.status}; {stored}.")
    else:
        echo(f"{what}{'no answer' if delivery.status < 0 else delivery.status}: `surehook doctor` says why.")
    if not (delivery.is_success and delivery.is_stored):
        sys.exit(FAILED)
