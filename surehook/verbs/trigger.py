"""`surehook trigger`: post an event as FusionAuth would."""

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, BinaryIO
from uuid import uuid4

import click
import httpx

from surehook.fusionauth.own_endpoint import endpoint_url, tls_trust
from surehook.fusionauth.samples import sample
from surehook.fusionauth.sender import Sender
from surehook.fusionauth.transaction_setting import MOST_RESENDS, SETTINGS, run_operation
from surehook.shared.envelope import parse_event
from surehook.shared.errors import MalformedBody, Misconfigured, SurehookError
from surehook.shared.event_types import EVENT_TYPES, closest
from surehook.shared.settings import Settings, load_settings
from surehook.shared.transactional_events import require_transactional_type
from surehook.verbs.output import echo, echo_body

# FusionAuth's documented example: connectTimeout 1000, readTimeout 2000.
TIMEOUT = httpx.Timeout(2.0, connect=1.0)


@click.command()
@click.argument("event_type", metavar="TYPE", required=False)
@click.option("--data", type=click.File("rb"), help="Send this body instead of our sample; - for standard input.")
@click.option(
    "--count",
    default=1,
    show_default=True,
    type=click.IntRange(1),
    help="How many to send, each with its own id.",
)
@click.option(
    "--url",
    "urls",
    multiple=True,
    help="Where to send it, several times for several webhooks; by default to SUREHOOK_BIND and SUREHOOK_WEBHOOK_PATH.",
)
@click.option(
    "--signing-key",
    metavar="FILE",
    help="A PEM file with the private key that FusionAuth would sign with, or a file with its HMAC secret; by default "
    "the first of SUREHOOK_SIGNING_SECRETS.",
)
@click.option("--signing-key-id", metavar="KID", help="Its id; by default the first of SUREHOOK_SIGNING_KEY_IDS.")
@click.option(
    "--transaction",
    type=click.Choice(SETTINGS),
    help="The tenant's transaction setting for TYPE: say whether FusionAuth's operation would commit under it.",
)
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="FIELD=VALUE",
    help="Change a field, as in user.email=ada@example.com; several times for several fields. null leaves it out.",
)
@click.option("--print", "is_printed", is_flag=True, help="Print what would be sent, send nothing.")
@click.option("--list", "is_list", is_flag=True, help="List the types.")
def trigger(
    event_type: str | None,
    data: BinaryIO | None,
    count: int,
    urls: tuple[str, ...],
    signing_key: str | None,
    signing_key_id: str | None,
    transaction: str | None,
    changes: tuple[str, ...],
    is_printed: bool,
    is_list: bool,
) -> None:
    """Post an event of TYPE to the running ingest, as FusionAuth would, and show the answer."""
    if is_list:
        echo("\n".join(EVENT_TYPES))
        return
    bodies = _bodies(event_type, data, changes, count)
    if is_printed:
        for body in bodies:
            echo_body(json.dumps(json.loads(body), indent=2).encode() if count == 1 else body)
        return
    settings = load_settings()
    sender = Sender(settings, signing_key, signing_key_id)
    targets = urls or (endpoint_url(settings),)
    if transaction is not None:
        if event_type is not None:
            require_transactional_type(event_type, "--transaction")
        with _client(settings, is_own=not urls) as client:
            sys.exit(0 if _run_operations(client, sender, transaction, targets, bodies) else 1)
    if len(targets) > 1:
        raise click.UsageError("Several webhooks need --transaction, which says how their answers count.")
    target = targets[0]
    try:
        with _client(settings, is_own=not urls) as client:
            answers = _send_all(
                lambda body: client.post(target, content=body, headers=sender.headers(body)), bodies, count
            )
    except httpx.TransportError as exc:
        raise SurehookError(f"no answer from {target} ({type(exc).__name__}): is `surehook dev` running?") from exc
    if not all(httpx.codes.is_success(status) for status in answers):
        sys.exit(1)


def _client(settings: Settings, *, is_own: bool) -> httpx.Client:
    # A proxy of the environment is for other addresses than our own endpoint's.
    return httpx.Client(timeout=TIMEOUT, verify=tls_trust(settings, is_own=is_own), trust_env=not is_own)


def _run_operations(
    client: httpx.Client, sender: Sender, setting: str, targets: tuple[str, ...], bodies: Iterator[bytes]
) -> bool:
    """Runs an operation for each body, and returns whether all commit."""
    operations = []
    for body in bodies:

        def post(target: str, body: bytes = body) -> httpx.Response:
            return client.post(target, content=body, headers=sender.headers(body))

        operation = run_operation(setting, targets, post)
        operations.append(operation)
        for response in operation.responses:
            again = f"  (sent again, {response.resend} of {MOST_RESENDS})" if response.resend else ""
            echo(f"{response.text}{again}" if len(targets) == 1 else f"{response.webhook}  {response.text}{again}")
        echo(operation.sentence)
    return all(operation.commits for operation in operations)


def _bodies(event_type: str | None, data: BinaryIO | None, changes: Sequence[str], count: int) -> Iterator[bytes]:
    """
    Raises:
        Misconfigured: there is no such type, or a change or several copies need a body that is an event.
    """
    if count > 1 and any(change.partition("=")[0] == "id" for change in changes):
        raise Misconfigured("--set id=… is for one event: --count gives each its own id")
    if data is not None:
        body = data.read()
        if event_type is not None and f'"{event_type}"'.encode() not in body:
            echo(f"note: the body does not mention {event_type}; it is sent as it is", err=True)
        return iter([body]) if count == 1 and not changes else _copies(body, changes, count)
    if event_type is None:
        raise click.UsageError("TYPE is missing; `surehook trigger --list` shows them.")
    if event_type not in EVENT_TYPES:
        near = closest(event_type)
        hint = f"did you mean {' or '.join(near)}?" if near else "`surehook trigger --list` shows them."
        raise Misconfigured(f"there is no event type {event_type}: {hint}")
    samples = (sample(event_type, now=datetime.now(UTC), event_id=uuid4())["event"] for _ in range(count))
    return (_encoded(_changed(each, changes)) for each in samples)


def _copies(body: bytes, changes: Sequence[str], count: int) -> Iterator[bytes]:
    """The body with its changes, and for each of several copies an id of its own: equal ids would be duplicates."""
    try:
        event = parse_event(body)
    except MalformedBody as exc:
        raise Misconfigured(f"--count and --set need a body that is an event, to change its fields: {exc}") from exc
    event = _changed(event, changes)
    return (_encoded(event | ({"id": str(uuid4())} if count > 1 else {})) for _ in range(count))


def _changed(event: dict[str, Any], changes: Sequence[str]) -> dict[str, Any]:
    if not changes:
        return event
    from surehook.fusionauth.changes import changed  # the event classes take long to load

    return changed(event, changes)


def _encoded(event: dict[str, Any]) -> bytes:
    return json.dumps({"event": event}).encode()


def _send_all(post: Callable[[bytes], httpx.Response], bodies: Iterator[bytes], count: int) -> Counter[int]:
    if count == 1:
        response = post(next(bodies))
        echo(f"{response.status_code} {response.text}")
        echo(_explanation(response))
        return Counter([response.status_code])
    answers: Counter[int] = Counter()
    with click.progressbar(
        bodies, length=count, label="sending", file=sys.stderr, hidden=not sys.stderr.isatty()
    ) as bar:
        for body in bar:
            answers[post(body).status_code] += 1
    for status, number in sorted(answers.items()):
        echo(f"{status}: {number}")
    return answers


def _explanation(response: httpx.Response) -> str:
    if response.is_success and '"duplicate"' in response.text:
        return "Seen before, so no handler runs again. FusionAuth would count this as delivered."
    if response.is_success:
        return "FusionAuth would count this as delivered."
    return "FusionAuth would count this as failed, and not send it again."
