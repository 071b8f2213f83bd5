"""Requests without the right credentials: FusionAuth always sends those that the webhook is configured with."""

from collections.abc import Callable, Mapping, Sequence

from surehook.fusionauth.conformance.case import SECURING, Cases, Level, Need
from surehook.fusionauth.conformance.credentials import Credentials
from surehook.fusionauth.conformance.exchange import Exchange
from surehook.fusionauth.conformance.judgement import Judgement
from surehook.fusionauth.conformance.probe import Probe
from surehook.fusionauth.simulator.delivery import encode

CASES = Cases()


@CASES.refuses(
    "credentials.none", "Anyone can send to a URL: a request must prove that it is FusionAuth's.", "§1", SECURING
)
def none(probe: Probe) -> Sequence[Exchange]:
    return [probe.send(remark="without credentials", credentials=Credentials())]


@CASES.refuses(
    "credentials.wrong-header", "A header with another secret is not FusionAuth's.", "§1", SECURING, Need.HEADER
)
def wrong_header(probe: Probe) -> Sequence[Exchange] | Judgement:
    wrong = dict.fromkeys(probe.credentials.headers, "not-the-secret")
    return _judged(probe, [_with(probe, wrong, "with a wrong header")])


@CASES.refuses("credentials.empty-header", "An empty header is no secret.", "§1", SECURING, Need.HEADER)
def empty_header(probe: Probe) -> Sequence[Exchange] | Judgement:
    empty = dict.fromkeys(probe.credentials.headers, "")
    return _judged(probe, [_with(probe, {}, "without the header"), _with(probe, empty, "with an empty header")])


@CASES.refuses("credentials.part-of-header", "A part of the secret is not the secret.", "§1", SECURING, Need.HEADER)
def part_of_header(probe: Probe) -> Sequence[Exchange] | Judgement:
    headers = probe.credentials.headers
    changes: dict[str, Callable[[str], str]] = {
        "with the secret's beginning": lambda value: value[:-1],
        "with more than the secret": lambda value: f"{value}x",
        "with the secret in another case": str.swapcase,
    }
    found = []
    for remark, change in changes.items():
        changed = {name: change(value) for name, value in headers.items()}
        if changed != headers:  # a secret may have no letters
            found.append(_with(probe, changed, remark))
    return _judged(probe, found)


@CASES.refuses("credentials.wrong-basic", "Another user or password is not FusionAuth's.", "§1", SECURING, Need.BASIC)
def wrong_basic(probe: Probe) -> Sequence[Exchange] | Judgement:
    user, _, password = probe.credentials.basic.partition(":")
    pairs = {
        "with a wrong password": f"{user}:not-the-password",
        "with a wrong user": f"not-{user}:{password}",
        "with an empty password": f"{user}:",
        "with user and password swapped": f"{password}:{user}",
    }
    with_pair = probe.credentials.with_basic
    return _judged(probe, [probe.send(remark=name, credentials=with_pair(pair)) for name, pair in pairs.items()])


@CASES.refuses(
    "credentials.broken-basic", "A broken Basic header is refused, and harms nothing.", "§1", SECURING, Need.BASIC
)
def broken_basic(probe: Probe) -> Sequence[Exchange] | Judgement:
    found = []
    for value in ("Basic", "Basic !!!!", "Basic bm8tY29sb24=", "Basic /////w==", "Bearer"):
        event = probe.event()
        headers = probe.credentials.for_body(encode({"event": event})) | {"Authorization": value}
        found.append(probe.send(event, "with a broken Basic header", headers=headers))
    return _judged(probe, found)


def _with(probe: Probe, headers: Mapping[str, str], remark: str) -> Exchange:
    return probe.send(remark=remark, credentials=probe.credentials.with_headers(headers))


def _judged(probe: Probe, exchanges: Sequence[Exchange]) -> Sequence[Exchange] | Judgement:
    """A valid signature is no forgery: a receiver may go by it alone."""
    accepted = tuple(each for each in exchanges if each.is_delivered)
    if accepted and probe.credentials.key is not None:
        return Judgement(Level.ODD, "The header is not checked: the signature alone decides.", accepted)
    return exchanges
