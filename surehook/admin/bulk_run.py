"""Runs a bulk action: one letter after the other, in the process of a command or of the dashboard.

The replay of a failure group begins with one letter, and goes on when that has run without failing. At most 100 of the
others wait for their run at a time; the first that fails in the group's way stops the action.
"""

import time
from collections.abc import Callable, Iterator
from secrets import token_hex

from surehook.admin.bulk_actions import REPLAY, BulkAction, BulkActions, BulkState
from surehook.admin.dead_letters import DeadLetter
from surehook.admin.outcomes import Outcomes, Run
from surehook.shared.scripts import Script

POLL_SECONDS = 0.2
# A runner's lease is 15 s: see actions.lua.
RENEW_SECONDS = 3.0
CANARY_SECONDS = 600.0
MOST_IN_FLIGHT = 100


class NotOurs(Exception):
    """The action was stopped, or another process has taken it."""


class BulkRun:
    """The run of one action by one process."""

    def __init__(
        self,
        actions: BulkActions,
        action: BulkAction,
        *,
        is_stopping: Callable[[], bool] = lambda: False,
        on_step: Callable[[], None] = lambda: None,
        canary_seconds: float = CANARY_SECONDS,
    ) -> None:
        self._actions, self._action = actions, action
        self._store, self._keys = actions.store, actions.keys
        self._is_stopping, self._on_step = is_stopping, on_step
        self._canary_seconds = canary_seconds
        self._outcomes = Outcomes(self._store, self._keys, action.filter.group_id or "")
        self._in_flight: list[Run] = []
        self._token = token_hex(8)
        self._renewed_at = self._looked_at = 0.0
        self._take, self._renew, self._stop = (Script(f"bulk_{name}", self._keys) for name in ("take", "renew", "stop"))

    def run(self) -> BulkAction:
        """Runs until the action is done or stopped, unless another process runs it. Returns it as it stands then."""
        if not self._take.run(self._store, self._action.action_id, self._token):
            return self._actions.get(self._action.action_id)
        self._action = self._actions.get(self._action.action_id)
        try:
            note = self._run_letters()
        except NotOurs:
            return self._actions.get(self._action.action_id)
        state = BulkState.STOPPED if note else BulkState.DONE
        self._stop.run(self._store, self._action.action_id, self._token, state, note, self._action.who)
        return self._actions.get(self._action.action_id)

    def _run_letters(self) -> str:
        """Returns why the action stops before its end, or ""."""
        note = ""
        for letter in self._letters():
            note = self._wait_for_canary() or self._wait_for_room()
            if note:
                break
            self._step(letter)
            self._on_step()
            if note := self._keep_to_rate():
                break
        return note

    def _letters(self) -> Iterator[DeadLetter]:
        """The letters that match and died before the action was planned; the script checks that again."""
        for letter in self._actions.letters.matching(self._action.filter):
            died_at = letter.died_at
            if (
                died_at is None
                or f"{died_at.replace(tzinfo=None).isoformat(timespec='microseconds')}Z" <= self._action.planned_at
            ):
                yield letter

    def _step(self, letter: DeadLetter) -> None:
        action, letters = self._action, self._actions.letters
        result = self._outcomes.newest_result(letter.job_id)
        step = (action.action_id, self._token, action.planned_at, result)
        act = letters.replay if action.verb == REPLAY else letters.discard
        taken = act(letter, who=action.who, reason=action.reason, step=step)
        if taken < 0:
            raise NotOurs
        self._renewed_at = time.monotonic()
        if taken and action.needs_canary:
            self._in_flight.append(Run(letter.job_id, letter.queue, result))
            if not action.canary:
                self._action = self._actions.get(action.action_id)

    def _wait_for_canary(self) -> str:
        action = self._action
        if not action.needs_canary or not action.canary or action.has_canary_succeeded:
            return ""
        run, deadline = (
            Run(action.canary, action.canary_queue, action.canary_result),
            time.monotonic() + self._canary_seconds,
        )
        while True:
            outcome = self._outcomes.of(run)
            if outcome in ("succeeded", "gone"):
                self._keep_lease("succeeded" if outcome == "succeeded" else "again")
                self._in_flight.clear()
                self._action = self._actions.get(action.action_id)
                return ""
            if outcome:
                return f"the first event, {run.event_id}, failed again: {self._outcomes.error_of(run)}"
            if self._is_stopping():
                return "its process was stopped"
            if time.monotonic() > deadline:
                return f"the first event, {run.event_id}, has not run yet: are there workers?"
            self._pause()

    def _wait_for_room(self) -> str:
        """Looks at what has run, a few times a second, and waits while too many have not."""
        while True:
            if self._is_stopping():
                return "its process was stopped"
            now = time.monotonic()
            if now - self._looked_at < POLL_SECONDS and len(self._in_flight) < MOST_IN_FLIGHT:
                return ""
            self._looked_at = now
            left = []
            for run in self._in_flight:
                outcome = self._outcomes.of(run)
                if outcome == "same":
                    return f"event {run.event_id} failed again: {self._outcomes.error_of(run)}"
                if not outcome:
                    left.append(run)
            self._in_flight = left
            if len(left) < MOST_IN_FLIGHT:
                return ""
            self._pause()

    def _keep_to_rate(self) -> str:
        until = time.monotonic() + (1 / self._action.rate if self._action.rate else 0)
        while (left := until - time.monotonic()) > 0:
            if self._is_stopping():
                return "its process was stopped"
            self._pause(min(left, POLL_SECONDS))
        return ""

    def _pause(self, seconds: float = POLL_SECONDS) -> None:
        if time.monotonic() - self._renewed_at > RENEW_SECONDS:
            self._keep_lease("")
        time.sleep(seconds)

    def _keep_lease(self, canary: str) -> None:
        if not self._renew.run(self._store, self._action.action_id, self._token, canary):
            raise NotOurs
        self._renewed_at = time.monotonic()
