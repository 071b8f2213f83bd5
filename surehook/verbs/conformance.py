"""`surehook conformance`: tries documented behaviour of FusionAuth against any receiver."""

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from surehook.shared.errors import Misconfigured
from surehook.shared.exit_status import FAILED
from surehook.verbs.conformance_report import show_area, show_summary
from surehook.verbs.output import echo, echo_json
from surehook.verbs.progress import Progress

if TYPE_CHECKING:
    from surehook.fusionauth.conformance.examination import Examination
    from surehook.fusionauth.conformance.judgement import Result
    from surehook.fusionauth.conformance.proof import Proof
    from surehook.fusionauth.conformance.published_keys import PublishedKeys
    from surehook.fusionauth.conformance.receiver import Options
    from surehook.shared.settings import Settings

STORE_TIMEOUT_SECONDS = 5.0
# An event of each type, what the cases add, and the copies that arrive again: enough for a plan.
ABOUT_REQUESTS = 280


@click.command()
@click.argument("url", metavar="URL", required=False)
@click.option(
    "--ours", "is_ours", is_flag=True, help="It is this folder's: with its settings, and a look at its store."
)
@click.option("--header", "headers", multiple=True, metavar="NAME:VALUE", help="A header of the webhook, or @FILE.")
@click.option("--basic", default="", metavar="USER:PASSWORD", help="The webhook's HTTP Basic pair, or @FILE.")
@click.option("--signing-key", metavar="FILE", help="A private key in PEM form, or an HMAC secret, to sign with.")
@click.option("--signing-key-id", "key_id", metavar="KID", help="Its id.")
@click.option("--signing-algorithm", "algorithm", metavar="ALG", help="Such as HS512; by default the key's usual one.")
@click.option(
    "--jwks", "address", metavar="HOST:PORT", help="Serve FusionAuth's public keys there, and sign with them."
)
@click.option(
    "--read-timeout", default=2000, show_default=True, type=click.IntRange(1), help="The webhook's, in milliseconds."
)
@click.option(
    "--largest-import",
    default=10_000,
    show_default=True,
    type=click.IntRange(1, 100_000),
    help="Users in the largest event.",
)
@click.option("--case", "names", multiple=True, metavar="ID", help="Only this case, or the cases of this area.")
@click.option("--yes", "is_agreed", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.option("--html", "page", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Write a page.")
def conformance(
    url: str | None,
    is_ours: bool,
    headers: tuple[str, ...],
    basic: str,
    signing_key: str | None,
    key_id: str | None,
    algorithm: str | None,
    address: str | None,
    read_timeout: int,
    largest_import: int,
    names: tuple[str, ...],
    is_agreed: bool,
    as_json: bool,
    page: Path | None,
) -> None:
    """Send what FusionAuth is documented to send to the receiver at URL, and say what it does wrong.

    It stores and handles events of made-up users: never run it against a receiver in production. Exit status 1 if it
    loses events or lets a forgery in.
    """
    from surehook.fusionauth.conformance.examination import chosen
    from surehook.fusionauth.conformance.receiver import Options
    from surehook.fusionauth.conformance.report import as_document, as_page

    options = Options(headers, basic, signing_key, key_id, algorithm)
    with ExitStack() as stack:
        examination = _prepare(stack, url, is_ours, options, address)
        examination.cases = chosen(names)
        probe = examination.probe
        probe.read_timeout, probe.largest_import = read_timeout / 1000, largest_import
        _agree(examination, is_agreed=is_agreed, is_quiet=as_json)
        if page is not None:
            page.write_text("", "utf-8")  # a file that cannot be written is noticed before anything is sent
        results = _run(examination, is_quiet=as_json)
    if page is not None:
        page.write_text(as_page(probe.url, results), "utf-8")
    if as_json:
        echo_json(as_document(probe.url, results))
    else:
        show_summary(results)
    if any(each.level.is_serious for each in results):
        sys.exit(FAILED)


def _prepare(
    stack: ExitStack, url: str | None, is_ours: bool, options: "Options", address: str | None
) -> "Examination":
    from surehook.fusionauth.conformance.examination import Examination
    from surehook.fusionauth.conformance.probe import Probe
    from surehook.fusionauth.conformance.receiver import checked_url, credentials_from, credentials_of, trust
    from surehook.fusionauth.own_endpoint import endpoint_url
    from surehook.shared.settings import load_settings

    if url is None and not is_ours:
        raise click.UsageError(
            "URL is missing: name the receiver, or --ours for the endpoint of this folder's settings."
        )
    if is_ours and (options.headers or options.basic):
        raise click.UsageError(
            "--ours takes headers and Basic pairs from the settings: leave --header and --basic out."
        )
    settings = load_settings() if is_ours else None
    keys = _published(stack, address)
    if settings is None:
        credentials = credentials_from(options, keys)
        examination = Examination(Probe(checked_url(url or ""), credentials, keys=keys))
    else:
        target = checked_url(url) if url else endpoint_url(settings)
        tls = trust(settings, is_own=url is None)
        credentials = credentials_of(settings, options, keys)
        examination = Examination(Probe(target, credentials, keys=keys, tls=tls), _proof(stack, settings))
    stack.callback(examination.probe.client.close)
    return examination


def _published(stack: ExitStack, address: str | None) -> "PublishedKeys | None":
    from surehook.fusionauth.conformance.published_keys import PublishedKeys
    from surehook.shared.settings import host_and_port

    if address is None:
        return None
    try:
        host, port = host_and_port(address)
        return stack.enter_context(PublishedKeys(host, port))
    except (ValueError, OverflowError) as exc:
        raise Misconfigured(f"--jwks {address}: expected an address such as 127.0.0.1:9012") from exc
    except OSError as exc:
        raise Misconfigured(f"--jwks {address} cannot be used: {exc.strerror}") from exc


def _proof(stack: ExitStack, settings: "Settings") -> "Proof":
    from surehook.admin.events import EventLog
    from surehook.fusionauth.conformance.proof import Proof
    from surehook.shared.keys import Keys
    from surehook.shared.store import connect

    store = stack.enter_context(connect(settings, timeout_seconds=STORE_TIMEOUT_SECONDS))
    return Proof(EventLog(store, Keys(settings.key_prefix), handler_timeout=settings.handler_timeout))


def _agree(examination: "Examination", *, is_agreed: bool, is_quiet: bool) -> None:
    from surehook.fusionauth.conformance.examination import shown
    from surehook.fusionauth.conformance.probe import ID_PREFIX
    from surehook.fusionauth.sample_parts import EMAIL, SAMPLE_USER_ID

    probe = examination.probe
    plan = (
        f"Sends about {ABOUT_REQUESTS} requests to {shown(probe.url)}:",
        f"  events of every type, for the user {SAMPLE_USER_ID}",
        f"  ({EMAIL}), imports of up to {probe.largest_import:,} made-up users,",
        "  and requests that it has to refuse.",
        f"It will store and handle them as FusionAuth's. Their ids begin with {ID_PREFIX};",
        "nothing is undone afterwards. Never run this against a receiver in production.",
    )
    if not is_quiet:
        echo("\n".join(plan))
        if probe.keys is not None:
            echo(f"FusionAuth's public keys: {probe.keys.url}")
    if is_agreed:
        return
    if is_quiet or not sys.stdin.isatty():
        raise Misconfigured("there is no terminal to ask on: give --yes to send to that receiver")
    click.confirm("Send them?", abort=True)


def _run(examination: "Examination", *, is_quiet: bool) -> "Sequence[Result]":
    """Runs the cases, and shows each area when it is complete."""
    examination.greet()
    results: list[Result] = []
    area: list[Result] = []
    with Progress("cases tried:") as progress:
        for result in examination.results():
            progress.step()
            if area and area[-1].case.area != result.case.area:
                progress.clear()
                show_area(area, is_quiet=is_quiet)
                area = []
            area.append(result)
            results.append(result)
    show_area(area, is_quiet=is_quiet)
    return results
