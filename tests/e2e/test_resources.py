"""A worker process takes work when its resources are open, and closes them when its handlers have ended."""

import os
from collections.abc import Callable

from harness.stack import Stack, wait_until

HANDLERS = """
import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from surehook import resource

class Database: ...
class Pool: ...

@resource
def database() -> Iterator[Database]:
    effect("try")
    if not Path("database-is-up").exists():
        raise ConnectionError("no database at db:5432")
    effect("database open")
    yield Database()
    effect("database closed")

@resource
async def pool(database: Database) -> AsyncIterator[Pool]:
    async with asyncio.TaskGroup():
        yield Pool()
    effect("pool closed")

@on("user.delete", name="plain")
def plain(event, database: Database):
    effect("begun")
    time.sleep(0.5)
    effect("plain")

@on("user.delete", name="later")
async def later(event, pool: Pool):
    effect("begun")
    await asyncio.sleep(0.5)
    effect("later")
"""


def test_no_event_is_taken_until_resources_are_open_and_they_close_behind_the_last_run(
    build_stack: Callable[..., Stack],
) -> None:
    stack = build_stack(HANDLERS)
    stack.start_ingest()
    worker = stack.start_worker()
    wait_until(lambda: stack.effects().count("try") >= 2, "the start was tried again")
    event_id = stack.deliver().json()["eventId"]

    ready = stack.client.get(f"http://127.0.0.1:{stack.worker_metrics_port}/readyz")
    metrics = stack.client.get(f"http://127.0.0.1:{stack.worker_metrics_port}/metrics").text
    with stack.redis() as store:
        record = store.hgetall(f"surehook:event:{event_id}")
        assert store.lrange("rq:queue:events", 0, -1) == [event_id.encode()]
    assert not [name for name in record if name.startswith((b"runs:", b"claim:"))]
    assert ready.status_code == 503
    assert 'surehook_worker_not_ready{reason="resources_closed"} 1.0' in metrics
    assert "ConnectionError: no database at db:5432" in stack.logged()

    (stack.folder / "database-is-up").touch()
    wait_until(lambda: stack.effects().count("begun") == 2, "both handlers run")
    worker.terminate()

    assert worker.wait(20) == 0
    effects = [each for each in stack.effects() if each not in ("try", "begun")]
    assert sorted(effects[1:3]) == ["later", "plain"]
    assert effects[:1] + effects[3:] == ["database open", "pool closed", "database closed"]


def test_a_recycled_process_closes_its_own_and_the_next_opens_them_again(build_stack: Callable[..., Stack]) -> None:
    stack = build_stack(HANDLERS)
    (stack.folder / "database-is-up").touch()
    stack.start_ingest()
    worker = stack.start_worker(SUREHOOK_RECYCLE_JOBS="1")

    stack.deliver()
    wait_until(lambda: stack.effects().count("database closed") == 1, "the first process closed")
    wait_until(lambda: stack.effects().count("database open") >= 2, "the next process opened")
    stack.deliver()
    wait_until(lambda: stack.effects().count("plain") == 2, "the next process runs handlers")
    worker.terminate()

    assert worker.wait(20) == 0
    effects = stack.effects()
    assert effects.count("database open") == effects.count("database closed") == effects.count("pool closed")


def test_a_stop_does_not_wait_for_a_start_that_keeps_failing(build_stack: Callable[..., Stack]) -> None:
    stack = build_stack(HANDLERS)
    worker = stack.start_worker()
    wait_until(lambda: "try" in stack.effects(), "the start was tried")

    os.kill(worker.pid, 15)

    assert worker.wait(10) == 0
    assert "database closed" not in stack.effects()
