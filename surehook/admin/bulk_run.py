"""Runs a bulk action, a portion after the other, in the process of a command or of the dashboard.

The replay of a failure group begins with one letter, and goes on when that has run without failing. At most 100 of the
others wait for their run at a time; the first that fails in the group's way stops the action.
"""

import time
from collections.abc import Callable, Iterator
from itertools import islice
from secrets import token_hex
from typing import Any

from surehook.admin.bulk_actions import BulkAction, BulkActions, BulkState
from surehook.admin.bulk_steps import EventSteps, LetterSteps
from surehook.admin.dead_letters import Filter
from surehook.admin.outcomes import Outcomes, Run
from surehook.admin.portions import portion_at
from surehook.shared.scripts import Script

POLL_SECONDS = 0.2
# A runner's lease is 15 s: see actions.lua.
RENEW_SECONDS = 3.0
CANARY_SECONDS = 600.0
MOST_IN_FLIGHT = 100


class NotOurs(Exception):
    """The action was stopped, another process has taken it, or this one ends and leaves it to another."""


class Stopped(Exception):
    """The action stops before its end; the text says why, as a sentence, and goes into the audit."""


class BulkRun:
    """The run of one action by one process. `on_step` is told of how many letters or events a portion was."""

    def __init__(
        self,
        actions: BulkActions,
        action: BulkAction,
        *,
        is_stopping: Callable[[], bool] = lambda: False,
        on_step: Callable[[int], None] = lambda _: None,
        canary_seconds: float = CANARY_SECONDS,
    ) -> None:
        self._actions, self._action = actions, action
        self._store, self._keys = actions.store, actions.keys
        self._is_stopping, self._on_step = is_stopping, on_step
        self._canary_seconds = canary_seconds
        self._outcomes = Outcomes(self._store, self._keys, action.group_id)
        self._in_flight: list[Run] = []
        self._token = token_hex(8)
        self._is_taken = False
        self._renewed_at = self._looked_at = 0.0
        self._take, self._renew, self._stop = (Script(f"bulk_{name}", self._keys) for name in ("take", "renew", "stop"))

    def take(self) -> bool:
        """Becomes the action's runner, unless it has one."""
        self._is_taken = bool(self._take.run(self._store, self._action.action_id, self._token))
        return self._is_taken

    def run(self) -> BulkAction:
        """Runs until the action is done or stopped, unless another process runs it. Returns it as it stands then."""
        if not self._is_taken and not self.take():
            return self._actions.get(self._action.action_id)
        self._action = self._actions.get(self._action.action_id)
        note = ""
        try:
            self._run_steps(self._steps())
        except NotOurs:
            return self._actions.get(self._action.action_id)
        except Stopped as exc:
            note = str(exc)
        self.end(note)
        return self._actions.get(self._action.action_id)

    def end(self, note: str) -> None:
        """Ends the action; a note says why it stops before its end."""
        state = BulkState.STOPPED if note else BulkState.DONE
        self._stop.run(self._store, self._action.action_id, self._token, state, note, self._action.who)

    def _steps(self) -> LetterSteps | EventSteps:
        wanted = self._action.filter
        if isinstance(wanted, Filter):
            return LetterSteps(self._actions, self._action, wanted, self._token)
        return EventSteps(self._actions, self._action, wanted, self._token)

    def _run_steps(self, steps: Any) -> None:
        left: Iterator[Any] = steps.left(self._go_on)
        while portion := list(islice(left, self._portion())):
            self._wait_for_canary()
            self._wait_for_room(len(portion))
            taken = steps.take(portion)
            if not taken.is_ours:
                raise NotOurs
            self._renewed_at = time.monotonic()
            self._in_flight += taken.runs
            if taken.runs and not self._action.canary:
                self._action = self._actions.get(self._action.action_id)
            self._on_step(len(portion))
            self._keep_to_rate(len(portion))

    def _portion(self) -> int:
        action = self._action
        return 1 if action.needs_canary and not action.has_canary_succeeded else portion_at(action.rate)

    def _wait_for_canary(self) -> None:
        action = self._action
        if not action.needs_canary or not action.canary or action.has_canary_succeeded:
            return
        run = Run(action.canary, action.canary_queue, action.canary_result)
        deadline = time.monotonic() + self._canary_seconds
        while True:
            outcome = self._outcomes.of(run)
            if outcome in ("succeeded", "gone"):
                self._keep_lease("succeeded" if outcome == "succeeded" else "again")
                self._in_flight.clear()
                self._action = self._actions.get(action.action_id)
                return
            if outcome:
                raise Stopped(f"the first event, {run.event_id}, {self._outcomes.failed_again(run, outcome)}")
            self._go_on()
            if time.monotonic() > deadline:
                raise Stopped(f"the first event, {run.event_id}, has not run yet: are there workers?")
            self._pause()

    def _wait_for_room(self, wanted: int) -> None:
        """Looks at what has run, a few times a second, and waits while too many have not."""
        while True:
            self._go_on()
            now = time.monotonic()
            has_room = len(self._in_flight) + wanted <= MOST_IN_FLIGHT
            if now - self._looked_at < POLL_SECONDS and has_room:
                return
            self._looked_at = now
            left = []
            for run in self._in_flight:
                outcome = self._outcomes.of(run)
                if outcome == "same":
                    raise Stopped(f"event {run.event_id} {self._outcomes.failed_again(run, outcome)}")
                if not outcome:
                    left.append(run)
            self._in_flight = left
            if len(left) + wanted <= MOST_IN_FLIGHT:
                return
            self._pause()

    def _keep_to_rate(self, count: int) -> None:
        until = time.monotonic() + (count / self._action.rate if self._action.rate else 0)
        while (left := until - time.monotonic()) > 0:
            self._go_on()
            self._pause(min(left, POLL_SECONDS))

    def _go_on(self) -> None:
        """
        Raises:
            NotOurs: another process has the action, or this one ends.
        """
        if self._is_stopping():
            self._keep_lease("left")  # another goes on at once
            raise NotOurs
        if time.monotonic() - self._renewed_at > RENEW_SECONDS:
            self._keep_lease("")

    def _pause(self, seconds: float = POLL_SECONDS) -> None:
        self._go_on()
        time.sleep(seconds)

    def _keep_lease(self, event: str) -> None:
        if not self._renew.run(self._store, self._action.action_id, self._token, event):
            raise NotOurs
        self._renewed_at = time.monotonic()
