"""Tells the user's `@on_dead_letter` functions of each dead letter.

A burial notes the job in a sorted set, so it waits for no function, and none is forgotten if a process dies. One
process at a time takes a note under a lease, and removes it when all functions have returned.
"""

import json
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import redis

from surehook.shared.errors import BodyDamaged, KeyMissing, MalformedBody
from surehook.shared.job_id import JobId
from surehook.shared.keys import Keys
from surehook.shared.log import TRACEBACK
from surehook.shared.models import event_from
from surehook.shared.scripts import Script, text
from surehook.shared.tracebacks import unpacked
from surehook.workers.background import PeriodicThread
from surehook.workers.execution.masking.error_text import error_text, release_frames
from surehook.workers.execution.missing_key import MissingKey
from surehook.workers.execution.runner import Runner
from surehook.workers.execution.timeouts import Timeout
from surehook.workers.handlers.hooks import DeadLetter, LetterHook
from surehook.workers.queue.acks import milliseconds

log = logging.getLogger(__name__)

TICK_SECONDS = 1.0
AT_ONCE = 10
RETRY_SECONDS = 60.0
NOTED_FOR_SECONDS = 7 * 86_400
FIELDS = ("body", "key_id", "handler")


class LetterHooks(PeriodicThread):
    """One per worker process whose modules have such functions. It is the run context of their runs."""

    def __init__(
        self, store: redis.Redis, keys: Keys, hooks: Sequence[LetterHook], runner: Runner, missing_key: MissingKey
    ) -> None:
        super().__init__("dead letter hooks", TICK_SECONDS)
        self.timeout = Timeout()
        self._store = store
        self._keys = keys
        self._hooks = tuple(hooks)
        self._runner = runner
        self._missing_key = missing_key
        self._take = Script("take_untold", keys)
        self._told = Script("told", keys)

    def announce(self) -> None:
        """Has burials noted from now on."""
        self._taken(0)

    def tick(self) -> None:
        while not self._is_stopping and (taken := self._taken(AT_ONCE)):
            for job_id, lease in zip(taken[::2], taken[1::2], strict=True):
                if self._is_stopping:
                    return  # another process takes it when the lease has expired
                if self._tell(job_id):
                    self._told.run(self._store, job_id, lease)

    def start_run(self, deadline: float, thread: int = 0) -> None:
        """Does nothing: the event has its fate, so no process is killed for a hook."""

    def is_ours(self) -> bool:
        return True

    def _taken(self, limit: int) -> list[str]:
        lease = RETRY_SECONDS + self._runner.default_timeout_seconds * len(self._hooks) * AT_ONCE
        reply = self._take.run(self._store, limit, milliseconds(lease), NOTED_FOR_SECONDS)
        return [text(each) for each in reply]

    def _tell(self, job_id: str) -> bool:
        """Returns whether all functions have returned, or there is nothing to tell (any more)."""
        try:
            letter = self._letter(job_id)
        except KeyMissing:
            return False  # a process that has the key tells
        except (MalformedBody, BodyDamaged):
            log.exception("dead letter cannot be read, no hook is told", extra={"job_id": job_id})
            return True
        if letter is None:
            return True
        told = [self._run(hook, letter, job_id) for hook in self._hooks]  # all of them, even if one fails
        return all(told)

    def _run(self, hook: LetterHook, letter: DeadLetter, job_id: str) -> bool:
        result = self._runner.run_hook(hook, letter, self)
        if result.error is None:
            return True
        shown = "".join(part.text for part in error_text(result.error).traceback if not part.is_message)
        release_frames(result.error)
        facts = {
            "handler": hook.location,
            "job_id": job_id,
            "error_type": type(result.error).__name__,
            TRACEBACK: shown,
        }
        log.error("dead letter hook failed", extra=facts | {"delay_seconds": RETRY_SECONDS})
        return False

    def _letter(self, job_id: str) -> DeadLetter | None:
        event_id, handler = JobId.parse(job_id)
        record: Any = self._store.hmget(self._keys.event(event_id), *FIELDS)
        body, key_id, owner = record
        if body is None:
            return None  # erased, or expired
        handler = handler or text(owner)
        mine = [each for each in self._attempts(event_id) if handler in ("", each["handler"])]
        last = mine[-1] if mine else {}
        queue, ended_at = self._store.hmget(self._keys.rq_job(job_id), "origin", "ended_at")
        packed = last.get("traceback")
        return DeadLetter(
            event=event_from(event_id, self._missing_key.decrypt(body, text(key_id)) if key_id else body),
            handler=handler or last.get("handler", ""),
            queue=text(queue),
            attempts=len(mine),
            error=last.get("error", ""),
            traceback=unpacked(packed) if packed else "",
            died_at=datetime.fromisoformat(text(ended_at)) if ended_at else datetime.now(UTC),
        )

    def _attempts(self, event_id: str) -> list[dict[str, Any]]:
        lines: Any = self._store.lrange(self._keys.attempts(event_id), 0, -1)
        return [json.loads(line) for line in lines]
