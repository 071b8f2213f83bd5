"""Runs the cases against a receiver, in their order."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from urllib.parse import urlsplit

import httpx

from surehook.fusionauth.conformance.case import Case, Level
from surehook.fusionauth.conformance.cases import CASES
from surehook.fusionauth.conformance.exchange import Exchange
from surehook.fusionauth.conformance.judgement import Judgement, Result, judge
from surehook.fusionauth.conformance.probe import Probe
from surehook.fusionauth.conformance.proof import PROOFS, Proof
from surehook.fusionauth.simulator.http_client import NO_STATUS
from surehook.shared.errors import Misconfigured, SurehookError

# A receiver that does not know our keys yet may fetch them only every few seconds.
KEY_SECONDS = 15.0
POLL_SECONDS = 0.5
UNAUTHENTICATED = (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN)
NOT_READY = (httpx.codes.SERVICE_UNAVAILABLE,)
NOT_THERE = (httpx.codes.NOT_FOUND, httpx.codes.METHOD_NOT_ALLOWED)

NOT_VISIBLE = (
    "Whether an event that arrives twice takes effect twice.",
    "Whether an answer of 2xx leaves only when the event is safe on disk, and survives a power cut.",
    "Whether an event that is accepted and then fails is tried again.",
    "Whether a handler takes an event of an operation that FusionAuth rolled back for a fact.",
    "Whether events of one user take effect in their order.",
    "Whether personal data of an event gets into logs.",
    "How long a key that FusionAuth has deleted stays valid in a cache.",
)
PROVED = {0: "proof.once"}


@dataclass
class Examination:
    """The cases against one receiver; `proof` reads its store, if it is ours."""

    probe: Probe
    proof: Proof | None = None
    cases: Sequence[Case] = CASES

    def greet(self) -> None:
        """Sends the first event, and stops where nothing else would be learnt.

        Raises:
            SurehookError: nothing answers there.
            Misconfigured: it refuses the credentials, or has no such path.
        """
        probe = replace(self.probe, exchanges=[])  # it says nothing of how long answers take
        deadline = time.monotonic() + (KEY_SECONDS if probe.keys is not None else 0.0)
        first = probe.send()
        while first.response.status in (*UNAUTHENTICATED, *NOT_READY) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
            first = probe.send()
        if self.probe.keys is not None:
            self.probe.keys.publish_next()
        self._require_use(first)

    def results(self) -> Iterator[Result]:
        """Runs every case; a connection is not carried from one to the next."""
        for case in self.cases:
            self.probe.client.close()
            yield self._run(case)
        if self.proof is not None:
            yield from self.proof.results(self.probe.exchanges)
        elif self.cases is CASES:
            yield from (Result(case, _not_tried(case)) for case in PROOFS)

    def _run(self, case: Case) -> Result:
        if any(not self.probe.can(need) for need in case.needs):
            return Result(case, _not_tried(case, self.probe))
        found = case.run(self.probe)
        return Result(case, found if isinstance(found, Judgement) else judge(case, found))

    def _require_use(self, first: Exchange) -> None:
        status, url = first.response.status, shown(self.probe.url)
        if status == NO_STATUS and not first.response.redirected_to:
            raise SurehookError(
                f"no answer from {url} ({first.response.exception}): is the receiver running, and is that its address?"
            )
        if status in UNAUTHENTICATED:
            raise Misconfigured(
                f"{url} answers {status}: it refuses these credentials. Give what FusionAuth would send with --header, "
                "--basic, --signing-key or --jwks, or --ours for the settings of this folder"
            )
        if status in NOT_THERE:
            raise Misconfigured(f"{url} answers {status} to a POST: is that the webhook's path?")


def chosen(names: Sequence[str]) -> Sequence[Case]:
    """Returns the cases with these ids or of these areas; all without names.

    Raises:
        Misconfigured: there is none of a name.
    """
    for name in names:
        if all(name not in (case.id, case.area) for case in CASES):
            near = get_close_matches(name, [*(case.id for case in CASES), *{case.area for case in CASES}], 2, 0.4)
            raise Misconfigured(f"--case {name}: there is none; did you mean {' or '.join(near) or 'another'}?")
    return [case for case in CASES if case.id in names or case.area in names] if names else CASES


def _not_tried(case: Case, probe: Probe | None = None) -> Judgement:
    missing = [need.value for need in case.needs if probe is None or not probe.can(need)]
    return Judgement(Level.NOT_TRIED, f"{'; '.join(missing)}.")


def shown(url: str) -> str:
    """Returns a URL without a login and without its query, which may hold a secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
