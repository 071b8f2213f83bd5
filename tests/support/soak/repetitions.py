"""The effects that a soak had twice, and why: only a fault may be the reason that a handler runs again."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from surehook.shared.job_id import JobId
from tests.support.soak.journal import STORE
from tests.support.soak.stack import SoakStack

# A result waits for the store, and a lease expires, within this time of the run, not counting while the store is away.
UNSETTLED_SECONDS = 60.0
Job = tuple[str, str]
Absences = Mapping[int, Sequence[tuple[float, float]]]


class Effect(NamedTuple):
    """One effect of a handler. `at` is on time.monotonic()."""

    attempt: int
    process: int
    supervisor: int
    at: float


Runs = Mapping[Job, list[Effect]]


class LoggedRuns:
    """The ends of runs in the lines of the workers' log, by handler and event."""

    WORDS = ('"run interrupted"', '"discarded"', '"done"')

    def __init__(self, lines: Iterable[Mapping[str, str]]) -> None:
        self.interrupted: Counter[Job] = Counter()
        self.discarded: Counter[Job] = Counter()
        self.settled: Counter[Job] = Counter()
        """A run whose success the store has acknowledged."""
        self.buried: set[str] = set()
        """Events whose process died three times."""
        for line in lines:
            self._add(line)

    def _add(self, line: Mapping[str, str]) -> None:
        handler = line.get("handler", "")
        if line["message"] == "run interrupted":
            event_id = JobId.parse(line["job_id"]).event_id
            self.interrupted[handler, event_id] += 1
            if line["outcome"] == "buried":
                self.buried.add(event_id)
        elif line["message"] == "handler ran":
            which = self.settled if line["outcome"] == "done" else self.discarded
            which[handler, line["event_id"]] += 1


class Repetition(NamedTuple):
    """A handler that had its effect for an event more than once."""

    text: str
    is_uncounted: bool
    """The runs that were interrupted are not all counted."""
    is_explained: bool


def effects_of(stack: SoakStack) -> Runs:
    """Returns the effects by handler and event."""
    found: dict[Job, list[Effect]] = defaultdict(list)
    for line in stack.effects():
        handler, event_id, attempt, process, supervisor, at = line.split()
        found[handler, event_id].append(Effect(int(attempt), int(process), int(supervisor), float(at)))
    return found


def repetitions(runs: Runs, logged: LoggedRuns, absences: Absences) -> list[Repetition]:
    """Lists the effects that came twice.

    Each run but the last must be counted as interrupted, or have been discarded because its lease was lost. One that is
    neither may only be a run whose result was not settled, and whose supervisor, which knew of it, was dead, stopped or
    cut off then: so it is only known that its lease expired. A run that the store has acknowledged never runs again.
    """
    return [_repetition(job, effects, logged, absences) for job, effects in runs.items() if len(effects) > 1]


def _repetition(job: Job, effects: list[Effect], logged: LoggedRuns, absences: Absences) -> Repetition:
    surplus = len(effects) - 1
    counted = logged.interrupted[job] + logged.discarded[job]
    unknown = sum(_was_away(each, absences) for each in effects)
    shown = ", ".join(f"run {each.attempt} in {each.process} of {each.supervisor} at {each.at}" for each in effects)
    return Repetition(
        text=f"{' '.join(job)}: {shown}",
        is_uncounted=surplus > counted,
        is_explained=surplus <= counted + unknown and logged.settled[job] <= 1,
    )


def _was_away(effect: Effect, absences: Absences) -> bool:
    """Says whether the supervisor was away before the store could know of the effect."""
    known_at = effect.at + UNSETTLED_SECONDS
    for begins, ends in absences.get(STORE, ()):
        if begins <= known_at and effect.at <= ends:
            known_at += ends - begins
    return any(begins <= known_at and effect.at <= ends for begins, ends in absences.get(effect.supervisor, ()))
