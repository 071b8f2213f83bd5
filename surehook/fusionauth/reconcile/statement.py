"""Tells how complete a period is: the events that FusionAuth fired for us, and what we have of them."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from surehook.shared.plural import counted

IDS_KEPT = 100  # for each count


@dataclass
class Statement:
    """Counts of a period, given in epoch milliseconds. Each event is in exactly one of the counts of `fired`."""

    start_ms: int
    end_ms: int
    is_dry_run: bool = False
    arrived: int = 0
    """We have it, or had it while its id was kept."""
    recovered: int = 0
    """It had not arrived, and is stored now; in a dry run it would be."""
    too_old: int = 0
    """We do not have it, and it may have been handled: its id would be kept no longer."""
    too_large: int = 0
    """The endpoint would refuse its body too."""
    unusable: int = 0
    """The log has it in a form that no event can be made of, or the store refuses it."""
    committed: int = 0
    """We refused it, and FusionAuth went ahead: its handlers run now. It is one of `arrived`."""
    answered: int = 0
    """Recovered although an attempt was answered with 2xx: by another receiver at this address, or we lost it."""
    rolled_back: int = 0
    contradicted: int = 0
    """One of `rolled_back` whose handlers succeeded here: our answer was lost, or outvoted."""
    running: int = 0
    interrupted: int = 0
    unreadable: int = 0
    """Entries that cannot be read at all: whether they were for us is not known."""
    ids: dict[str, list[str]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    """Reasons why the log itself may have gaps."""

    @property
    def fired(self) -> int:
        """The events that FusionAuth fired for us and whose operation happened."""
        return self.arrived + self.recovered + self.lost

    @property
    def lost(self) -> int:
        """The events that cannot be had."""
        return self.too_old + self.too_large + self.unusable

    @property
    def is_complete(self) -> bool:
        needs_a_person = self.lost or self.unreadable or self.interrupted or self.contradicted or self.problems
        return not needs_a_person and not (self.is_dry_run and self.recovered)

    def count(self, name: str, event_id: str) -> None:
        """Counts an event, and keeps its id if a person may have to look at it."""
        setattr(self, name, getattr(self, name) + 1)
        if name in _NAMED:
            ids = self.ids.setdefault(name, [])
            if len(ids) < IDS_KEPT:
                ids.append(event_id)

    def as_json(self) -> dict[str, Any]:
        return {
            "since": _instant(self.start_ms),
            "until": _instant(self.end_ms),
            "dry_run": self.is_dry_run,
            "complete": self.is_complete,
            "fired": self.fired,
            **{name: getattr(self, name) for name in _COUNTS},
            "ids": self.ids,
            "problems": self.problems,
        }

    def text(self) -> str:
        """Returns the statement in sentences, the most important first."""
        events = counted(self.fired, "event", "events")
        did = ("could be recovered",) * 2 if self.is_dry_run else ("was recovered", "were recovered")
        recovered = counted(self.recovered, *did)
        lines = [
            f"From {_instant(self.start_ms)} to {_instant(self.end_ms)} FusionAuth fired {events} for us:",
            f"{self.arrived:,} had arrived, {recovered}, {self.lost:,} cannot be had.",
        ]
        lines += [f"The log may have gaps: {problem}" for problem in self.problems]
        lines += [
            counted(count, one, many) + self._examples(name)
            for name, one, many in _SENTENCES
            if (count := getattr(self, name))
        ]
        return "\n".join(lines)

    def _examples(self, name: str) -> str:
        ids = self.ids.get(name, [])[:3]
        return f" (such as {', '.join(ids)})" if ids else ""


_COUNTS = (
    "arrived",
    "recovered",
    "too_old",
    "too_large",
    "unusable",
    "committed",
    "answered",
    "rolled_back",
    "contradicted",
    "running",
    "interrupted",
    "unreadable",
)
_NAMED = frozenset(_COUNTS) - {"arrived", "rolled_back", "running"}
_SENTENCES = (
    (
        "unreadable",
        "entry of the log cannot be read: whether its event was for us, and is here, is not known.",
        "entries of the log cannot be read: whether their events were for us, and are here, is not known.",
    ),
    (
        "too_old",
        "is older than we keep ids, so it may have been handled: it is not run again.",
        "are older than we keep ids, so they may have been handled: they are not run again.",
    ),
    (
        "too_large",
        "has a body larger than SUREHOOK_MAX_BODY_BYTES: raise it, then reconcile this period.",
        "have bodies larger than SUREHOOK_MAX_BODY_BYTES: raise it, then reconcile this period.",
    ),
    (
        "unusable",
        "is in the log in a form that no event can be made of, or the store refuses it.",
        "are in the log in a form that no event can be made of, or the store refuses them.",
    ),
    (
        "interrupted",
        "was interrupted on FusionAuth's side: compare this user with FusionAuth.",
        "were interrupted on FusionAuth's side: compare these users with FusionAuth.",
    ),
    (
        "contradicted",
        "succeeded here and was rolled back by FusionAuth: undo what its handlers did.",
        "succeeded here and were rolled back by FusionAuth: undo what their handlers did.",
    ),
    (
        "answered",
        "had been answered with 2xx: a spool has it, or another receiver uses this address.",
        "had been answered with 2xx: a spool has them, or another receiver uses this address.",
    ),
    (
        "committed",
        "was refused by us, and FusionAuth went ahead: its handlers run now.",
        "were refused by us, and FusionAuth went ahead: their handlers run now.",
    ),
    (
        "rolled_back",
        "more was rolled back by FusionAuth, so no handler runs for it.",
        "more were rolled back by FusionAuth, so no handler runs for them.",
    ),
    (
        "running",
        "more is still being decided: the next run counts it.",
        "more are still being decided: the next run counts them.",
    ),
)


def _instant(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
