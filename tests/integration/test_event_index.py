"""The index shows what a scan of all records shows, after any history."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from threading import Thread
from typing import Any

import pytest
import redis
from click.testing import CliRunner
from hypothesis import HealthCheck, given, strategies
from hypothesis import settings as hypothesis_settings

from harness.stack import wait_until
from surehook.admin.bulk_actions import DISCARD, REPLAY, BulkActions
from surehook.admin.bulk_run import BulkRun
from surehook.admin.dead_letters import DeadLetters, Filter
from surehook.admin.events import CLOSED_STATES, EventFilter, EventLog
from surehook.admin.search import EventSearch
from surehook.main import cli
from surehook.shared.encryption import BodyCipher
from surehook.shared.keys import Keys
from surehook.shared.scripts import Script, text
from surehook.shared.settings import Settings
from surehook.workers.maintenance.event_index import IndexUpkeep
from tests.integration.conftest import Accept
from tests.integration.test_known_ids import finish
from tests.integration.test_leases import an_attempt
from tests.support.claiming import SingleClaims

KEYS = Keys()
Clerks = Callable[..., SingleClaims]
STEPS = (
    *("accept",) * 3, *("finish",) * 2, "bury", "discard", "replay", "erase", "expire", "sweep", "lose", "act", "act",
    "end_segment", "summarize",
)  # fmt: skip


class History:
    """Takes steps, and compares the index with all records."""

    def __init__(self, store: redis.Redis, accept: Accept, claims: SingleClaims, settings: Settings) -> None:
        self.store, self.accept, self.claims = store, accept, claims
        self.letters = DeadLetters(store, KEYS, retention_seconds=3600, handler_timeout=30)
        self.log = EventLog(store, KEYS, handler_timeout=30)
        self.upkeep = IndexUpkeep(store, KEYS, settings)
        self.search = EventSearch(store, KEYS, BodyCipher())

    def take(self, step: str, random: Random) -> None:
        event_ids = sorted(text(key).rpartition(":")[2] for key in self.store.scan_iter(KEYS.event("*")))
        event_id = random.choice(event_ids) if event_ids else ""
        if step == "accept":
            self.accept(random.choice(("user.create", "user.delete")))
        elif step == "finish" and (claim := self.claims.claim()):
            self.claims.finish(claim, random.choice(("done", "unhandled")), None)
        elif step == "bury" and (claim := self.claims.claim()):
            self.claims.bury(claim, an_attempt(), "")
        elif step == "discard" and (letter := next(self.letters.matching(Filter()), None)):
            self.letters.discard(letter)
        elif step == "replay" and event_id:
            self.log.replay(event_id)
        elif step == "erase" and event_id:
            Script("erase", KEYS).run(self.store, event_id, "", 3600)
        elif step == "expire" and event_id and self.store.hexists(KEYS.event(event_id), "closed_at"):
            self.store.delete(KEYS.event(event_id))
        elif step == "lose" and event_id:
            self.store.hdel(KEYS.event(event_id), "row")
            self.sweep()
        elif step in ("sweep", "act", "end_segment", "summarize"):
            getattr(self, step)()

    def act(self) -> None:
        """Replays all closed events of a type, and discards the dead letters of the other."""
        actions = BulkActions(self.store, KEYS, self.letters, self.log)
        for verb, wanted in (
            (REPLAY, EventFilter(event_type="user.delete")),
            (DISCARD, Filter(event_type="user.create")),
        ):
            plan = actions.plan(verb, wanted, who="ann", reason="a test")
            BulkRun(actions, actions.start(plan.action_id, who="ann")).run()

    def end_segment(self) -> None:
        self.store.hset(KEYS.index_state, "until", 0)

    def summarize(self) -> None:
        self.upkeep.summarize()

    def sweep(self) -> None:
        while self.upkeep.finish_rows():
            pass
        while self.upkeep.walk() is not None:
            pass
        for _ in range(self.store.zcard(KEYS.index_segments)):
            self.upkeep.check_segment()

    def compare(self) -> None:
        expected: dict[str, str] = {}
        for key in self.store.scan_iter(KEYS.event("*")):
            received_at, outcome = self.store.hmget(key, "received_at", "outcome")
            if received_at:
                expected[text(key).rpartition(":")[2]] = text(outcome or b"open")
        shown = {each.event_id: "open" if each.is_open else each.state for each in self.search.each(EventFilter())}
        assert shown == expected
        for state in CLOSED_STATES:
            found = {each.event_id for each in self.search.each(EventFilter(states=(state,)))}
            assert found == {event_id for event_id, outcome in expected.items() if outcome == state}
        types = [
            {each.event_id for each in self.search.each(EventFilter(event_type=event_type))}
            for event_type in ("user.create", "user.delete")
        ]
        assert set.union(*types) == set(expected)


@hypothesis_settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
@given(
    steps=strategies.lists(strategies.sampled_from(STEPS), min_size=12, max_size=30), seed=strategies.integers(0, 99)
)
def test_the_index_equals_a_scan_of_the_records_after_any_history(
    steps: list[str],
    seed: int,
    store: redis.Redis,
    accept: Accept,
    claims_of: Clerks,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("surehook.workers.maintenance.event_index.LEAST_ROWS", 1)
    store.flushall()
    history, random = History(store, accept, claims_of(), settings), Random(seed)  # noqa: S311 - nothing secret

    for step in steps:
        history.take(step, random)
        history.compare()
    history.sweep()

    counted = history.search.count(EventFilter())
    assert counted == (len(list(history.search.each(EventFilter()))), False)


def test_an_index_of_several_segments_pages_through_all(
    store: redis.Redis, accept: Accept, claims_of: Clerks, settings: Settings
) -> None:
    for _ in range(6):
        accept()
        finish(claims_of(), store)
        store.hset(KEYS.index_state, "until", 0)  # each event ends its segment

    assert store.zcard(KEYS.index_segments) == 6
    search = EventSearch(store, KEYS, BodyCipher())
    assert len(list(search.each(EventFilter(states=("done",))))) == 6
    first = search.page(EventFilter(), limit=4)
    second = search.page(EventFilter(), limit=4, cursor=first.next_cursor)
    assert [len(first.events), len(second.events), second.next_cursor] == [4, 2, ""]


@contextmanager
def following(settings: Settings, *arguments: str) -> Iterator[tuple["subprocess.Popen[str]", list[str]]]:
    """`events tail` as a process, and the lines that it has printed."""
    environ = os.environ | {"SUREHOOK_DATA_DIR": str(settings.data_dir)}
    command = [sys.executable, "-m", "surehook", "events", "tail", *arguments]
    lines: list[str] = []
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        reader = Thread(target=lambda: lines.extend(process.stdout or ()))
        reader.start()
        try:
            yield process, lines
        finally:
            process.kill()
            reader.join()


def test_tail_shows_events_as_they_arrive_and_close_until_ctrl_c(
    accept: Accept, claims_of: Clerks, store: redis.Redis, settings: Settings
) -> None:
    first = accept()
    with following(settings, "--since", "1d", "--type", "user.delete") as (process, lines):
        wait_until(lambda: len(lines) == 1, "the first event is shown", seconds=60)
        accept("user.create")
        second = accept()
        wait_until(lambda: len(lines) == 2, "the second event is shown", seconds=60)
        finish(claims_of(), store)
        wait_until(lambda: len(lines) == 3, "the change is shown", seconds=60)
        process.send_signal(signal.SIGINT)
        status = process.wait(60)
        said: Any = process.stderr

        assert (status, said.read()) == (0, "")
    assert [first in lines[0], second in lines[1], first in lines[2]] == [True] * 3
    assert [line.split()[2] for line in lines] == ["waiting", "waiting", "done"]


@pytest.mark.parametrize("option", ["--email", "--application", "--group"])
def test_what_a_list_of_orphans_cannot_compare_is_refused(option: str, settings: Settings) -> None:
    environ = {"SUREHOOK_DATA_DIR": str(settings.data_dir)}

    found = CliRunner().invoke(cli, ["events", "list", "--state", "orphaned", option, "x"], env=environ)

    assert found.exit_code == 2
    assert option in found.output
