"""The events that a soak sent and the answers to them: a file that survives `kill -9` of the soak itself."""

import os
import threading
from collections import Counter, defaultdict
from pathlib import Path

from tests.support.soak.plan import KIND_OF_TYPE, Kind

ACCEPTED, DUPLICATE, REFUSED = 202, 200, 503
SENT, ANSWERED, FAULT, AWAY, ACCEPTED_BEFORE = "sent", "answered", "fault", "away", "accepted-before"
FOREVER = float("inf")
STORE = 0  # in `absences`, where supervisors have their process ids


class Journal:
    """`accepted` and `unanswered` have the kind of each id; `wrong` lists answers that should not have come."""

    def __init__(self, path: Path) -> None:
        self.accepted: dict[str, Kind] = {}
        self.unanswered: dict[str, Kind] = {}
        self.answers: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.absences: dict[int, list[tuple[float, float]]] = defaultdict(list)
        """By supervisor of workers: from when until when it was dead, stopped or without a network. And the store's."""
        self.wrong: list[str] = []
        self.second_copies_accepted = 0
        """While the store is away the spool cannot know a first copy that the store has."""
        self.accepted_before: int | None = None
        """The events that the store's ledger had accepted before the first of this journal."""
        self.goes_on = path.exists()
        """True if an earlier soak was interrupted in the middle of this journal."""
        if self.goes_on:
            self._replay(path.read_text("ascii"))
        self._lock = threading.Lock()
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def begin(self, accepted_before: int) -> None:
        self._write(ACCEPTED_BEFORE, f"{accepted_before}")
        self.accepted_before = accepted_before

    def sent(self, event_id: str, kind: Kind) -> None:
        self._write(SENT, event_id, kind.event_type)
        self.unanswered[event_id] = kind

    def answered(self, event_id: str, answer: str) -> None:
        """Note a status, or the name of the error that came instead."""
        self._write(ANSWERED, event_id, answer)
        with self._lock:
            self._on_answer(event_id, answer)

    def fault(self, name: str) -> None:
        self._write(FAULT, *name.split(" "))
        self.faults[name] += 1

    def away(self, supervisor: int, begins: float, ends: float) -> None:
        """Note when it could not tell the store of its runs, or when STORE was away, on time.monotonic()."""
        self._write(AWAY, f"{supervisor}", f"{begins}", f"{ends}")
        self.absences[supervisor].append((begins, ends))

    def close(self) -> None:
        os.close(self._file)

    def _on_answer(self, event_id: str, answer: str) -> None:
        self.answers[answer] += 1
        if not answer.isdecimal():
            return
        status, is_second = int(answer), event_id in self.accepted
        self.second_copies_accepted += is_second and status == ACCEPTED
        if status not in (ACCEPTED, DUPLICATE, REFUSED):
            self.wrong.append(f"{event_id} was answered {status}")
        if status in (ACCEPTED, DUPLICATE) and not is_second:
            self.accepted[event_id] = self.unanswered.pop(event_id)

    def _write(self, *words: str) -> None:
        os.write(self._file, f"{' '.join(words)}\n".encode())

    def _replay(self, lines: str) -> None:
        for line in lines.splitlines():
            what, *words = line.split(" ")
            if what == SENT:
                self.unanswered[words[0]] = KIND_OF_TYPE[words[1]]
            elif what == ANSWERED:
                self._on_answer(*words)
            elif what == FAULT:
                self.faults[" ".join(words)] += 1
            elif what == AWAY:
                self.absences[int(words[0])].append((float(words[1]), float(words[2])))
            else:
                self.accepted_before = int(words[0])
