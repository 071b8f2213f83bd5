"""P1 and P2 on a machine whose power fails: what was told is on disk, and not only in the page cache."""

import os
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.append_only_file import rewrite_append_only_file
from harness.processes import serving_processes_of
from harness.stack import Stack, wait_until
from surehook.shared.keys import Keys
from tests.e2e.test_nothing_is_lost import RECORD, under_load, wait_for_more
from tests.e2e.test_transactional_truth import HANDLERS, TRANSACTIONAL
from tests.support.ledger import is_balanced
from tests.support.oracles.answers import check_effects, kill, senders, wait_for_successes
from tests.support.power_cut.disk import Disk
from tests.support.power_cut.replicas import FragileFleet
from tests.support.power_cut.stack import FragileStack

pytestmark = pytest.mark.chaos
Build = Callable[..., FragileStack]
KEYS = Keys()
ROWS = 20
INSERT_AND_DIE = f"""
import os, sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("PRAGMA journal_mode=" + sys.argv[2])
database.execute("PRAGMA synchronous=" + sys.argv[3])
database.execute("CREATE TABLE rows (number)")
os.fsync(os.open(os.path.dirname(sys.argv[1]), os.O_RDONLY))
for number in range({ROWS}): database.execute("INSERT INTO rows VALUES (?)", (number,))
os.kill(os.getpid(), 9)
"""
# A run that is cut off has been shown to the store as started, so that its second run is counted.
UNHURRIED = """
@on("*", name="unhurried")
def unhurried(event):
    time.sleep(0.2)
    effect(event.id)
"""


@pytest.fixture
def build() -> Iterator[Build]:
    stacks: list[FragileStack] = []

    def build(handlers: str = "", *store_options: str) -> FragileStack:
        stacks.append(FragileStack(handlers, *store_options))
        return stacks[-1]

    yield build
    for stack in stacks:
        stack.close()


@pytest.mark.parametrize(
    ("journal", "synchronous", "kept"),
    [
        pytest.param("WAL", "FULL", ROWS, id="a WAL that is fsynced keeps all"),
        pytest.param("DELETE", "FULL", ROWS - 1, id="an unlinked journal comes back, and undoes the last row"),
        pytest.param("DELETE", "EXTRA", ROWS, id="unless its folder is fsynced"),
        pytest.param("WAL", "OFF", None, id="nothing is fsynced, not even the table"),
    ],
)
def test_a_disk_loses_exactly_what_sqlite_says_it_may_lose(
    journal: str, synchronous: str, kept: int | None, tmp_path: Path
) -> None:
    path = tmp_path / "data" / "rows.db"
    disk = Disk(tmp_path / "synced", path.parent)
    command = [sys.executable, "-c", INSERT_AND_DIE, str(path), journal, synchronous]

    subprocess.run(command, env={**os.environ, **disk.environ}, check=False)
    disk.lose_power()

    assert rows_of(path) == kept


def rows_of(path: Path) -> int | None:
    database = sqlite3.connect(path)
    try:
        return int(database.execute("SELECT count(*) FROM rows").fetchone()[0])
    except sqlite3.OperationalError:
        return None
    finally:
        database.close()


def test_accepted_and_settled_events_survive_power_cuts_of_the_store(build: Build) -> None:
    stack = build(RECORD)
    stack.start_ingest()
    stack.start_worker()
    wait_until(stack.worker_pids, "the worker has started")
    accepted: list[str] = []
    settled: set[str] = set()

    for _ in range(2):
        lost, closed = cut_power_under_load(stack, accepted)
        settled |= closed
        assert lost == []
        assert settled <= closed_events(stack, accepted)
        with stack.redis() as store:
            rewrite_append_only_file(store)  # for the next power cut: the new files and their names must be on disk too

    assert settled
    wait_until(lambda: stack.open_events() == 0, "all are settled")
    assert set(accepted) <= set(stack.effects())
    # The workers have lost no power: they know which results the store never answered for.
    assert [event_id for event_id, runs in Counter(stack.effects()).items() if runs > 1] == []
    print(f"\npower cuts under always: 0 of {len(accepted)} accepted, 0 of {len(settled)} settled lost")  # noqa: T201
    with stack.redis() as store:
        assert is_balanced(store)


def test_a_store_that_fsyncs_every_second_loses_events_in_a_power_cut(build: Build) -> None:
    """The control run: if it loses nothing, no other test here proves anything."""
    stack = build("", "--appendfsync", "everysec")
    stack.start_ingest(SUREHOOK_DURABILITY="trusted")
    accepted: list[str] = []
    lost: list[str] = []

    for _ in range(5):  # the power may fail just after an fsync, but not five times
        if not lost:
            lost, _ = cut_power_under_load(stack, accepted)

    print(f"\npower cuts under everysec: {len(lost)} of {len(accepted)} accepted lost")  # noqa: T201
    assert lost


def cut_power_under_load(stack: FragileStack, accepted: list[str]) -> tuple[list[str], set[str]]:
    """Returns the accepted events that the store has lost, and those that had been closed before."""
    with under_load(stack, accepted):
        wait_for_more(accepted, 60)
        closed = closed_events(stack, accepted)
        stack.kill_store()
    stack.cut_power()
    wait_until(stack.is_ready, "ingest goes on")
    with stack.redis() as store:
        return [event_id for event_id in accepted if not store.exists(KEYS.event(event_id))], closed


def test_a_success_that_was_told_stands_after_power_cuts(build: Build) -> None:
    stack = build(HANDLERS)
    answers: dict[str, int] = {}
    stack.start_ingest(**TRANSACTIONAL)
    stack.start_worker(**TRANSACTIONAL)

    with senders(stack, answers):
        for _ in range(3):
            wait_for_successes(answers, 15)
            stack.cut_power()
        wait_for_successes(answers, 5)

    check_effects(stack, answers, 3)
    succeeded = [event_id for event_id, status in answers.items() if status == 200]
    with stack.redis() as store:
        assert {store.hget(KEYS.event(event_id), "decision") for event_id in succeeded} == {b"completed"}


def test_a_settled_event_stays_closed_or_is_counted_when_the_whole_machine_loses_power(build: Build) -> None:
    stack = build(UNHURRIED)
    ingest, worker = stack.start_ingest(), stack.start_worker("--threads", "8")
    accepted: list[str] = []
    with under_load(stack, accepted):
        wait_until(lambda: len(stack.effects()) > 20, "handlers run")
        settled = closed_events(stack, accepted)
        stack.kill_store()
        kill([ingest.pid, worker.pid, *serving_processes_of(worker.pid)])
    stack.cut_power()

    assert settled <= closed_events(stack, accepted)
    stack.start_worker("--threads", "32")
    wait_until(lambda: stack.open_events() == 0, "all are settled, after their leases expired")
    assert set(accepted) <= set(stack.effects())
    twice = {event_id for event_id, runs in Counter(stack.effects()).items() if runs > 1}
    logged = [line for line in stack.logged().splitlines() if '"run interrupted"' in line]
    assert [event_id for event_id in twice if not any(event_id in line for line in logged)] == []
    with stack.redis() as store:
        assert is_balanced(store)


def closed_events(stack: Stack, accepted: list[str]) -> set[str]:
    ids = list(accepted)
    with stack.redis() as store, store.pipeline(transaction=False) as pipeline:
        for event_id in ids:
            pipeline.hexists(KEYS.event(event_id), "closed_at")
        return {event_id for event_id, is_closed in zip(ids, pipeline.execute(), strict=True) if is_closed}


def test_a_failover_after_a_power_cut_keeps_what_the_replica_has_on_disk(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    fleet = FragileFleet(tmp_path_factory.mktemp("f"), replicas=1)
    stack = Stack()
    first, second = fleet.ports
    accepted: list[str] = []
    try:
        stack.start_ingest(SUREHOOK_REDIS_URL=fleet.url, SUREHOOK_DURABILITY="replicated")

        with under_load(stack, accepted):
            wait_for_more(accepted, 60)
            fleet.cut_power(first)
            wait_until(lambda: fleet.primary() == second, "Sentinel chose the replica")
            fleet.restart(first)
            wait_for_more(accepted, 60)
            fleet.cut_power(second)
            wait_until(lambda: fleet.primary() == first, "Sentinel chose the first again")
            fleet.cut_power(first)

        for port in (first, second):
            assert set(accepted) <= fleet.open_events_alone(port)
    finally:
        stack.close()
        fleet.close()


def test_spooled_events_survive_a_power_cut_of_the_whole_machine(build: Build) -> None:
    stack = build()
    spool = stack.data / "spool"
    spool.mkdir(mode=0o700)
    stack.environ["SUREHOOK_SPOOL_DIR"] = str(spool)
    disk = Disk(stack.folder / "synced-spool", spool)
    ingest = stack.start_ingest(**disk.environ)
    stack.kill_store()
    accepted: list[str] = []

    with under_load(stack, accepted):
        wait_for_more(accepted, 60)
        kill([ingest.pid])
    ingest.wait()
    disk.lose_power()
    stack.cut_power()
    stack.start_ingest(**disk.environ)

    with stack.redis() as store:
        wait_until(lambda: all(store.exists(KEYS.event(event_id)) for event_id in accepted), "all are forwarded")
        assert is_balanced(store)
