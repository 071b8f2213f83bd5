"""Settles the runs for which a process was killed: each has exceeded its timeout, and is treated as any such run."""

import linecache
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import redis

from surehook.shared.job_id import JobId
from surehook.shared.keys import Keys
from surehook.shared.minutes import MinuteCounts, Minutes
from surehook.shared.scripts import texts
from surehook.shared.tracebacks import is_ours
from surehook.workers.claim import Claim
from surehook.workers.execution import event_loop
from surehook.workers.execution.masking.error_text import ErrorText, Part
from surehook.workers.execution.runner import RunResult, RunStatus
from surehook.workers.handlers.errors import HandlerTimeout
from surehook.workers.handlers.registry import Handler
from surehook.workers.queue.acks import Ack
from surehook.workers.queue.claims import Claims
from surehook.workers.queue.completion import Completion, completion_of

# No exchange that the dead process has sent and the store has not read yet has such a number.
FUTURE_EXCHANGE = 1_000_000
_THREAD = re.compile(r"^(?:Current thread|Thread) 0x([0-9a-f]+)")
_FRAME = re.compile(r'^  File "(.*)", line (\d+) in (.*)$')
Frame = tuple[str, int, str]


class MinutesOnly:
    """Stands in for the metrics of a worker process: it counts for `handlers list`, the supervisor for the metrics."""

    def __init__(self) -> None:
        self.minutes = MinuteCounts()

    def count(self, handler: str, _: object, outcome: str, seconds: float) -> None:
        self.minutes.add(handler, outcome, seconds)

    def write(self, store: redis.Redis, keys: Keys) -> None:
        Minutes(store, keys).write(self.minutes.take())

    def count_wait(self, _: float) -> None: ...
    def count_retry(self, _: str) -> None: ...


def settle(
    claims: Claims,
    store: redis.Redis,
    keys: Keys,
    process: str,
    key: str,
    handler: Handler,
    stack: str,
    timeout_seconds: float,
) -> Completion | None:
    """Retries or buries the job of a run that has exceeded its timeout. None: its claim is stale.

    Args:
        process: the dead process that held the claim.
        stack: where the handler hung, as in a traceback.
    """
    job_id, _, token = key.rpartition(":")
    event_id, part = JobId.parse(job_id)
    record: Any = store.hmget(keys.event(event_id), "type", "tenant", "application", f"runs:{part}", f"spent:{part}")
    event_type, tenant_id, application_ids, runs, spent = texts(record)
    claim = Claim(
        claims.queue,
        job_id,
        token,
        int(runs or 1),
        int(spent or 0),
        0,
        handler.name,
        event_type,
        tenant_id,
        application_ids,
        b"",
    )
    message = f"ran longer than {timeout_seconds:g} s"
    started_at = datetime.now(UTC) - timedelta(seconds=timeout_seconds)
    result = RunResult(RunStatus.TIMED_OUT, started_at, timeout_seconds, HandlerTimeout(message))
    code = Part(f"Traceback (most recent call last):\n{stack}HandlerTimeout: {message}\n", is_message=False)
    error = ErrorText("HandlerTimeout", message, (code,))
    completion = completion_of(handler, claim, result, lambda: None, error)
    return completion if _acknowledge(claims, store, keys, process, completion.ack) else None


def _acknowledge(claims: Claims, store: redis.Redis, keys: Keys, process: str, ack: Ack) -> bool:
    """Makes an exchange in the name of a dead process. Returns False if the claim is stale."""
    last: Any = store.hget(keys.exchange(process), "number")
    number = max(int(last or 0) + 1, FUTURE_EXCHANGE)
    arguments = claims.exchange_arguments(number, [(ack, "", True)], wanted=0, starting=0)
    return claims.parse_reply(claims.exchange_script().run(store, *arguments)).accepted_acks[0]


def stacks(dump: Path) -> dict[int, list[Frame]]:
    """The frames of each thread in a dump of faulthandler, the outermost first, by the thread's ident."""
    found: dict[int, list[Frame]] = {}
    frames: list[Frame] = []
    text = dump.read_text("utf-8", "replace") if dump.exists() else ""
    for line in text.splitlines():
        if thread := _THREAD.match(line):
            frames = found[int(thread[1], 16)] = []
        elif frame := _FRAME.match(line):
            frames.insert(0, (frame[1], int(frame[2]), frame[3]))
    return found


def stack_of(thread: int, found: dict[int, list[Frame]]) -> str:
    """Shows the frames in which a thread's handler hangs, without ours. Async ones hang in the event loop's thread."""
    frames = found.get(thread, [])
    if any(frame[0] == event_loop.__file__ and frame[2] == "call" for frame in frames):
        loops = (each for each in found.values() if any(_is_loop(frame) for frame in each))
        frames = next(loops, frames)
    begin = max((at for at, frame in enumerate(frames) if is_ours(frame[0])), default=-1) + 1
    return "".join(_shown(frame) for frame in frames[begin:] if Path(frame[0]).is_absolute())


def _is_loop(frame: Frame) -> bool:
    return frame[0] == event_loop.__file__ and frame[2] == "_run"


def _shown(frame: Frame) -> str:
    file, number, name = frame
    line = linecache.getline(file, number).strip()
    return f'  File "{file}", line {number}, in {name}\n' + (f"    {line}\n" if line else "")
