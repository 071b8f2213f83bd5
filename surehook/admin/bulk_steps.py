"""The steps of bulk actions: what is left to do, and the acts, each of which counts itself in the store."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple
from uuid import UUID

from surehook.admin.bulk_actions import REPLAY, BulkAction, BulkActions
from surehook.admin.dead_letters import DeadLetter, Filter
from surehook.admin.event_records import EventFilter
from surehook.admin.outcomes import Outcomes, Run

READ_AT_ONCE = 5000


class Taken(NamedTuple):
    """The result of a portion of acts."""

    is_ours: bool
    """False: the action was stopped, or another process has taken it."""
    runs: list[Run]
    """The replayed letters of a group."""


class LetterSteps:
    """Replays or discards dead letters."""

    def __init__(self, actions: BulkActions, action: BulkAction, wanted: Filter, token: str) -> None:
        self._letters = actions.letters
        self._action, self._wanted, self._token = action, wanted, token
        self._outcomes = Outcomes(actions.store, actions.keys, action.group_id)

    def left(self, _: Callable[[], None]) -> Iterator[DeadLetter]:
        """The letters that match and died before the action was planned; the script checks that again."""
        for letter in self._letters.matching(self._wanted):
            died_at = letter.died_at
            if (
                died_at is None
                or f"{died_at.replace(tzinfo=None).isoformat(timespec='microseconds')}Z" <= self._action.planned_at
            ):
                yield letter

    def take(self, letters: Sequence[DeadLetter]) -> Taken:
        action = self._action
        job_ids = [letter.job_id for letter in letters]
        results = self._outcomes.newest_results(job_ids) if action.needs_canary else [""] * len(letters)
        steps = [(action.action_id, self._token, action.planned_at, result) for result in results]
        act = self._letters.replay_many if action.verb == REPLAY else self._letters.discard_many
        taken = act(letters, who=action.who, reason=action.reason, steps=steps)
        runs = [
            Run(letter.job_id, letter.queue, result)
            for letter, result, number in zip(letters, results, taken, strict=True)
            if number > 0 and action.needs_canary
        ]
        return Taken(min(taken) >= 0, runs)


class EventSteps:
    """Runs closed events again, those first that were received first."""

    def __init__(self, actions: BulkActions, action: BulkAction, wanted: EventFilter, token: str) -> None:
        self._events = actions.events
        self._action, self._wanted, self._token = action, wanted, token

    def left(self, on_page: Callable[[], None]) -> Iterator[str]:
        """The events that match and were closed before the action was planned; the script checks that again.

        The search has the newest first, so all ids are collected before the first act.
        """
        packed: list[bytes] = []
        cursor, is_last = "", False
        while not is_last:
            page = self._events.search.page(self._wanted, limit=READ_AT_ONCE, cursor=cursor)
            packed += [
                UUID(event.event_id).bytes
                for event in page.events
                if event.closed_at is not None and event.closed_at <= self._action.created_at
            ]
            cursor, is_last = page.next_cursor, not page.next_cursor
            on_page()
        while packed:
            yield str(UUID(bytes=packed.pop()))

    def take(self, event_ids: Sequence[str]) -> Taken:
        action = self._action
        step = (action.action_id, self._token)
        taken = self._events.replay_many(event_ids, who=action.who, reason=action.reason, step=step)
        return Taken(min(taken) >= 0, [])
