"""Compares the accepted events of a soak with their effects, and lists every fault."""

from collections import Counter
from dataclasses import dataclass, field

from surehook.shared.keys import Keys
from surehook.shared.scripts import text
from tests.support.ledger import ledger
from tests.support.soak.journal import Journal
from tests.support.soak.leftovers import leftovers
from tests.support.soak.memory import Life
from tests.support.soak.repetitions import LoggedRuns, Runs, effects_of, repetitions
from tests.support.soak.stack import SoakStack

MOST_MIB = {"ingest": 160, "worker's parent": 120, "worker process": 160}
MOST_GROWTH_MIB = 25
SHOWN_AT_MOST = 10
LOST, ACCEPTED = "lost", "events accepted"


@dataclass(slots=True)
class Findings:
    """Counts for the table, and a sentence for each fault."""

    counts: dict[str, int] = field(default_factory=dict)
    keys: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def add_fault(self, what: str, which: list[str]) -> None:
        if which:
            shown = ", ".join(which[:SHOWN_AT_MOST]) + (" …" if len(which) > SHOWN_AT_MOST else "")
            self.wrong.append(f"{len(which)} {what}: {shown}")


def examine(stack: SoakStack, journal: Journal, lives: dict[str, list[Life]]) -> Findings:
    findings = Findings()
    runs, logged = effects_of(stack), LoggedRuns(stack.log_lines(*LoggedRuns.WORDS))
    interrupted = logged.interrupted
    with stack.redis() as store:
        entries = ledger(store)
        is_open = {text(event_id) for event_id in store.zrange(Keys().open, 0, -1)}
        findings.keys, unknown = leftovers(store)
    _lost(findings, journal, runs, is_open, logged.buried)
    repeated = repetitions(runs, logged, journal.absences)
    beyond = entries.get("accepted", 0) - (journal.accepted_before or 0) - len(journal.accepted)
    findings.counts |= {
        ACCEPTED: len(journal.accepted),
        "accepted, the answer lost on its way": beyond,
        "duplicates recognised": journal.answers["200"],
        "second copies accepted by the spool": journal.second_copies_accepted,
        "handlers' effects": sum(map(len, runs.values())),
        "dead letters": len(is_open),
        "dead letters for their process died three times": len(logged.buried),
        "runs interrupted": sum(interrupted.values()),
        "effects twice": len(repeated),
        "effects twice that are not counted as interrupted": sum(each.is_uncounted for each in repeated),
    }
    findings.add_fault(
        "effects twice that no fault explains", [each.text for each in repeated if not each.is_explained]
    )
    findings.add_fault("keys should not be left", unknown)
    findings.add_fault("wrong answers", journal.wrong)
    if not 0 <= beyond <= len(journal.unanswered):
        findings.wrong.append(
            f"{beyond} more events were accepted than 2xx were received, and {len(journal.unanswered)} had none"
        )
    sent = journal.accepted.keys() | journal.unanswered.keys()
    findings.add_fault(
        "effects of events that were never sent", [event_id for _, event_id in runs if event_id not in sent]
    )
    _check_memory(findings, lives)
    balance = stack.run("ledger")
    if balance.returncode:
        findings.wrong.append(f"surehook ledger: {balance.stdout}{balance.stderr}")
    return findings


def _lost(findings: Findings, journal: Journal, runs: Runs, is_open: set[str], buried: set[str]) -> None:
    lost, wrongly_dead, not_dead = [], [], []
    for event_id, kind in journal.accepted.items():
        missing = [name for name in kind.handlers if (name, event_id) not in runs]
        if missing and event_id not in buried:
            lost.append(f"{event_id} {kind.event_type} {'+'.join(missing)}")
        if kind.is_hopeless and event_id not in is_open:
            not_dead.append(f"{event_id} {kind.event_type}")
        if event_id in is_open and not kind.is_hopeless and event_id not in buried:
            wrongly_dead.append(f"{event_id} {kind.event_type}")
    findings.counts[LOST] = len(lost)
    findings.add_fault("LOST", lost)
    findings.add_fault("dead letters without a cause", wrongly_dead)
    findings.add_fault("events that should be dead letters", not_dead)


def _check_memory(findings: Findings, lives: dict[str, list[Life]]) -> None:
    for role, most in MOST_MIB.items():
        grown = [life.growth for life in lives.get(role, ()) if life.growth is not None]
        highest = max((life.highest for life in lives.get(role, ())), default=0)
        if highest > most:
            findings.wrong.append(f"{role}: {highest:.0f} MiB")
        if grown and max(grown) > MOST_GROWTH_MIB:
            findings.wrong.append(f"{role}: grew by {max(grown):.0f} MiB")
