"""A soak of one stretch for a time, or of as many stretches as a number of events takes."""

import json
import shutil
import time
from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import gettempdir, mkdtemp

from bench.figures import table
from tests.support.soak.report import ACCEPTED, LOST
from tests.support.soak.stretch import Plan, Report, Tell, counted, run_stretch

RETENTION_SECONDS = 120
LONGEST_PAUSE_SECONDS = 2.5
# With the longest pause of a short soak, most of the processor's time would go into starting processes.
LONGEST_PAUSE_FOR_EVENTS_SECONDS = 12.0
RETENTION_FOR_EVENTS_SECONDS = 30
STRETCH_EVENTS = 50_000
LONGEST_STRETCH_SECONDS = 900.0
ID_BYTES = 40
# An event takes more memory while RQ shows its job, which may be longer than a stretch.
JOB_BYTES = 5_000
JOBS = "job, closed"
MOST_GROWTH_BYTES = 24 * 1024 * 1024
MEBIBYTE = 1024 * 1024


def soak(
    seconds: float, seed: int, per_second: float, tell: Tell, longest_pause_seconds: float = LONGEST_PAUSE_SECONDS
) -> Report:
    """Runs one stretch for `seconds`. Keeps its folder if something was wrong."""
    folder = Path(mkdtemp(prefix="surehook-soak-"))
    plan = Plan(seconds, seed, per_second, longest_pause_seconds, RETENTION_SECONDS)
    try:
        report = run_stretch(folder, "1", plan, tell)
    except AssertionError:
        tell(f"the log: {folder / 'log-1'}")
        raise
    if report.findings.wrong:
        report.findings.wrong.append(f"the log: {folder / 'log-1'}")
    else:
        shutil.rmtree(folder)
    return report


@dataclass(frozen=True, slots=True)
class Result:
    """The figures of a stretch that are kept."""

    counts: dict[str, int]
    faults: dict[str, int]
    seconds: int
    store_bytes: int
    jobs: int
    """The jobs that RQ still shows."""
    highest_mib: dict[str, float]
    """By role of the process."""
    wrong: list[str]

    @classmethod
    def of(cls, report: Report) -> "Result":
        highest = {role: max(life.highest for life in lives) for role, lives in report.lives.items()}
        findings = report.findings
        return cls(
            findings.counts,
            dict(report.faults),
            round(report.seconds),
            report.store_bytes,
            findings.keys[JOBS],
            highest,
            findings.wrong,
        )

    def row(self, number: int) -> tuple[str, ...]:
        return (
            f"{number}",
            f"{self.counts[ACCEPTED]:,}",
            f"{self.seconds}",
            f"{sum(self.faults.values())}",
            f"{self.store_bytes / MEBIBYTE:.1f}",
            f"{self.jobs:,}",
            *(f"{mebibytes:.0f}" for mebibytes in self.highest_mib.values()),
        )


@dataclass(frozen=True, slots=True)
class Total:
    """The stretches of a soak."""

    stretches: list[Result]

    @property
    def accepted(self) -> int:
        return sum(each.counts[ACCEPTED] for each in self.stretches)

    @property
    def wrong(self) -> list[str]:
        found = [what for each in self.stretches for what in each.wrong]
        if self.stretches:
            first, last = self.stretches[0], self.stretches[-1]
            jobs = max(0, last.jobs - first.jobs)
            if last.store_bytes - first.store_bytes > MOST_GROWTH_BYTES + ID_BYTES * self.accepted + JOB_BYTES * jobs:
                found.append(f"the store grew from {first.store_bytes:,} to {last.store_bytes:,} bytes")
        return found

    def text(self) -> str:
        counts, faults = Counter[str](), Counter[str]()
        for each in self.stretches:
            counts.update(each.counts)
            faults.update(each.faults)
        roles = [f"{role} MiB" for each in self.stretches[:1] for role in each.highest_mib]
        rows = [each.row(number) for number, each in enumerate(self.stretches, 1)]
        sums = {**counts, "faults": faults.total(), "seconds": sum(each.seconds for each in self.stretches)}
        return "\n\n".join(
            [
                table([("stretch", ACCEPTED, "seconds", "faults", "store MiB", "jobs", *roles), *rows]),
                counted("fault", "times", faults),
                table([("what", "count"), *((name, f"{count:,}") for name, count in sums.items())]),
                "\n".join(["WRONG:", *self.wrong]) if self.wrong else "no event was lost and no key was left over",
            ]
        )


def soak_events(events: int, seconds: float, seed: int, per_second: float, tell: Tell) -> Total:
    """Runs stretches until `events` are accepted or the time is over, and goes on where an earlier run stopped."""
    folder = Path(gettempdir()) / f"surehook-soak-{seed}-{events}"
    folder.mkdir(exist_ok=True)
    results = folder / "stretches.json"
    tell(f"in {folder}; delete it to begin anew")
    ends_at = time.monotonic() + seconds
    total = _read(results)
    plan = Plan(0, seed, per_second, LONGEST_PAUSE_FOR_EVENTS_SECONDS, RETENTION_FOR_EVENTS_SECONDS)
    while total.accepted < events and not total.wrong and (left := ends_at - time.monotonic()) > 0:
        number, missing = len(total.stretches) + 1, events - total.accepted
        stretch = replace(plan, seconds=min(left, LONGEST_STRETCH_SECONDS), events=min(STRETCH_EVENTS, missing))
        result = Result.of(run_stretch(folder, f"{number}", stretch, tell))
        total = Total([*total.stretches, result])
        _write(results, total)
        words = ("stretch", *result.row(number), LOST, f"{result.counts[LOST]}", f"total {total.accepted:,}")
        tell("  ".join(words))
        if not total.wrong:
            for kind in ("effects", "log", "journal"):
                (folder / f"{kind}-{number}").unlink()
    return total


def _read(results: Path) -> Total:
    if not results.exists():
        return Total([])
    return Total([Result(**each) for each in json.loads(results.read_text())])


def _write(results: Path, total: Total) -> None:
    """Replaces the file, so that the soak may be killed here too."""
    draft = results.with_suffix(".draft")
    draft.write_text(json.dumps([asdict(each) for each in total.stretches]))
    draft.replace(results)
