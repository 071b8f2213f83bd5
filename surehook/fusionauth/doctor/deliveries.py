"""Reads in FusionAuth's event log how the last deliveries went."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from surehook.fusionauth.client import FusionAuthClient
from surehook.fusionauth.doctor.access import Installation, Json
from surehook.fusionauth.doctor.findings import Finding, blocks, fine, loses, odd
from surehook.fusionauth.log_pages import LogPages, Row, Unreadable
from surehook.fusionauth.shapes import object_in, objects_in
from surehook.fusionauth.transport import SearchTooBroad
from surehook.shared.plural import counted

# From the longest: a search costs as much as its period holds (FACTS §16).
PERIODS = ((86_400_000, "day"), (3_600_000, "hour"), (600_000, "ten minutes"))
MOST_ENTRIES = 2_000
PAGE = 500
REFUSED = 422
NO_STATUS = -1
MOST_SKEW_SECONDS = 60


def delivery_findings(client: FusionAuthClient, found: Installation, now: datetime) -> Iterator[Finding]:
    """
    Raises:
        FusionAuthError: the log cannot be read.
    """
    yield from _clock(client, now)
    period, rows = _entries(client, client.now_ms())
    unreadable = [row for row in rows if isinstance(row, Unreadable)]
    entries = [row for row in rows if not isinstance(row, Unreadable)]
    yield from _unreadable(unreadable)
    ids = {str(hook.get("id")) for hook in found.ours}
    lost, rolled_back = Counter[int](), Counter[int]()
    durations: list[int] = []
    for entry in entries:
        attempts = [each for each in objects_in(entry, "attempts") if str(each.get("webhookId")) in ids]
        durations += [_duration(each) for each in attempts]
        statuses = [_status(each) for each in attempts]
        if not statuses or any(each.get("attemptResult") == "Success" for each in attempts):
            continue
        if REFUSED not in statuses:
            (rolled_back if entry.get("eventResult") == "Failed" else lost)[statuses[-1]] += 1
    yield from _failures(lost, rolled_back, period)
    if durations:
        yield from _slowness(sorted(durations), found, period)
    if not (lost or rolled_back or unreadable):
        yield fine(
            "deliveries", f"Of {counted(len(entries), 'event', 'events')} in the last {period} none failed here."
        )


def _entries(client: FusionAuthClient, now_ms: int) -> tuple[str, list[Row]]:
    """Returns the entries of the longest period that holds few enough."""
    total, rows, name = 0, list[Row](), ""
    for length, name in PERIODS:
        pages = LogPages(client, now_ms - length, now_ms + 60_000, PAGE)
        try:
            total, rows = pages.page(0)
        except SearchTooBroad:
            if name == PERIODS[-1][1]:
                raise
            continue
        if total <= MOST_ENTRIES:
            break
    while rows and len(rows) < min(total, MOST_ENTRIES):
        _, more = pages.page(len(rows))
        if not more:
            break
        rows += more
    return name, rows


def _unreadable(entries: list[Unreadable]) -> Iterator[Finding]:
    if entries:
        yield odd(
            "event-log-entries",
            f"{counted(len(entries), 'entry', 'entries')} of the Webhook Event Log cannot be read "
            f"({', '.join(each.name for each in entries[:3])}).",
            "`reconcile` cannot tell whether their events were for us, nor fetch them; it reads all others.",
            "the entry in FusionAuth; a proxy that changes or cuts FusionAuth's answers",
        )


def _clock(client: FusionAuthClient, now: datetime) -> Iterator[Finding]:
    seconds = client.now_ms() / 1000 - now.timestamp()
    if abs(seconds) > MOST_SKEW_SECONDS:
        yield odd(
            "fusionauth-clock",
            f"FusionAuth's clock is {abs(seconds):,.0f} s {'ahead of' if seconds > 0 else 'behind'} this machine's.",
            "Instants in events and in FusionAuth's log are by its clock; `reconcile` takes that into account.",
            "the time service (NTP) of both machines, or of a proxy that writes the `Date` header",
        )


def _failures(lost: Counter[int], rolled_back: Counter[int], period: str) -> Iterator[Finding]:
    if lost:
        yield loses(
            "deliveries",
            f"In the last {period} {counted(lost.total(), 'event was', 'events were')} not answered 2xx here: "
            f"{_statuses(lost)}.",
            "FusionAuth does not send them again. Some without a status may have arrived.",
            "`surehook reconcile` fetches them; docs/http.md says what each status means",
        )
    if rolled_back:
        yield blocks(
            "rolled-back",
            f"In the last {period} {counted(rolled_back.total(), 'operation', 'operations')} failed as we did not "
            f"answer: {_statuses(rolled_back)}.",
            "FusionAuth's users saw an error and have to do it again.",
            "the log of ingest at that time; the tenant's transaction setting",
        )


def _slowness(durations: list[int], found: Installation, period: str) -> Iterator[Finding]:
    slow = durations[-(-len(durations) * 95 // 100) - 1]
    read_ms = min(int(hook.get("readTimeout") or 0) for hook in found.ours)
    if slow * 2 > read_ms:
        yield odd(
            "slow-deliveries",
            f"In the last {period} 95% of deliveries took up to {slow} ms; FusionAuth waits {read_ms} ms.",
            "A little more load, and FusionAuth counts them as failed.",
            "the store's disk and the network between; SUREHOOK_TRANSACTION_TIMEOUT for transactional handlers",
        )


def _statuses(counts: Counter[int]) -> str:
    shown = [
        f"{count:,} with {'no status' if status == NO_STATUS else status}" for status, count in counts.most_common(5)
    ]
    return ", ".join(shown)


def _status(attempt: Json) -> int:
    status = object_in(attempt, "webhookCallResponse").get("statusCode")
    return status if isinstance(status, int) else NO_STATUS


def _duration(attempt: Json) -> int:
    start, end = attempt.get("startInstant"), attempt.get("endInstant")
    return max(0, end - start) if isinstance(start, int) and isinstance(end, int) else 0
