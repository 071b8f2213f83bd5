"""Whatever befalls the store: every delivery is answered 2xx, takes effect once, and keeps its connection's order."""

import os
import random
import resource
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from harness.stack import Stack, wait_until
from surehook.shared.embedded import socket_path, start_server
from surehook.shared.scripts import texts
from tests.support.cut_link import Link, link_to
from tests.support.ledger import is_balanced
from tests.support.metrics import metric
from tests.support.replicas import Fleet
from tests.support.senders import Senders, senders_to

Build = Callable[..., Stack]
pytestmark = pytest.mark.chaos
SEED = int(os.environ.get("SEED", "20261128"))
LONGEST_STOP_SECONDS = float(os.environ.get("LONGEST_STOP", "2.5"))
HANDLERS = '@on("*", name="it")\ndef it(event): effect(event.id)\n'


class Faults:
    """The faults of one stack. Each method returns once its fault is over."""

    def __init__(self, stack: Stack, link: Link, chance: random.Random) -> None:
        self._stack = stack
        self._link = link
        self._chance = chance

    def stopped_for_a_moment(self) -> None:
        self._stop(self._chance.uniform(0.2, 0.8))

    def stopped(self) -> None:
        self._stop(self._chance.uniform(1.5, LONGEST_STOP_SECONDS))

    def killed(self) -> None:
        self._stack.kill_store()
        wait(self._chance.uniform(0.3, 1.0))
        self._stack.restart_store()

    def restarted_and_loading(self) -> None:
        self._stack.server.terminate()
        self._stack.server.wait()
        # A server that loads a large file answers LOADING.
        slow = ("--key-load-delay", "300", "--loading-process-events-interval-bytes", "1024")
        self._stack.server = start_server(self._stack.data, *slow)

    def read_only(self) -> None:
        with self._stack.redis() as store:
            store.replicaof("127.0.0.1", "1")
            wait(1.0)
            store.replicaof("NO", "ONE")

    def out_of_memory(self) -> None:
        self._set("maxmemory", "1", "0")

    def not_durable(self) -> None:
        self._set("appendfsync", "everysec", "always")

    def disk_full(self) -> None:
        sizes = [file.stat().st_size for file in (self._stack.data / "appendonlydir").iterdir()]
        resource.prlimit(self._stack.server.pid, resource.RLIMIT_FSIZE, (max(sizes) + 50_000, -1))
        wait_until(lambda: self._stack.server.poll() is not None, "a store that cannot write does not go on")
        self._stack.restart_store()

    def commands_cut_off(self) -> None:
        self._cut("passes_commands")

    def replies_cut_off(self) -> None:
        self._cut("passes_replies")

    def slow(self) -> None:
        self._link.delay_seconds = 0.3
        wait(1.0)
        self._link.delay_seconds = 0.0

    def _stop(self, seconds: float) -> None:
        self._stack.server.send_signal(signal.SIGSTOP)
        wait(seconds)
        self._stack.server.send_signal(signal.SIGCONT)

    def _cut(self, direction: str) -> None:
        setattr(self._link, direction, False)
        wait(1.0)
        setattr(self._link, direction, True)

    def _set(self, name: str, bad: str, good: str) -> None:
        with self._stack.redis() as store:
            store.config_set(name, bad)
            wait(1.0)
            store.config_set(name, good)


def wait(seconds: float) -> None:
    """Lets the load meet the fault for a while."""
    until = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() >= until, seconds=seconds + 10)


def faults_of(faults: Faults) -> list[Callable[[], None]]:
    return [
        faults.stopped_for_a_moment,
        faults.stopped,
        faults.killed,
        faults.read_only,
        faults.out_of_memory,
        faults.not_durable,
        faults.commands_cut_off,
        faults.replies_cut_off,
        faults.slow,
        faults.restarted_and_loading,
        faults.disk_full,
    ]


@pytest.fixture
def link(build_stack: Build) -> Iterator[tuple[Stack, Link]]:
    stack = build_stack(HANDLERS)
    with link_to(socket_path(stack.data)) as link:
        yield stack, link


def assert_order(senders: Senders, arrived: list[str]) -> None:
    """The store got the events of each connection in the order in which they were sent."""
    place = {event_id: number for number, event_id in enumerate(arrived)}
    for connection in senders.connections:
        places = [place[event_id] for event_id in connection.sent]
        assert places == sorted(places)


def assert_each_takes_effect_once(stack: Stack, senders: Senders) -> None:
    """Nothing is left behind either: not in the ledger, and not in the spool."""
    worker = stack.start_worker()
    wait_until(lambda: len(stack.effects()) >= len(senders.sent), "all are handled", seconds=60)
    worker.terminate()
    worker.wait()
    effects = stack.effects()
    assert len(effects) == len(set(effects))
    assert set(effects) == senders.sent
    assert stack.run("spool", "list").stdout.startswith("Nothing waits")
    ledger = stack.run("ledger")
    assert (ledger.returncode, ledger.stdout.count(f"{len(senders.sent):,}") >= 2) == (0, True), ledger.stdout


@pytest.mark.timeout(240 + 4 * LONGEST_STOP_SECONDS)
def test_no_fault_of_the_store_costs_a_delivery_its_place_or_its_answer(link: tuple[Stack, Link]) -> None:
    stack, relay = link
    stack.start_ingest(SUREHOOK_REDIS_URL=f"redis://127.0.0.1:{relay.port}/0")
    refused: dict[str, dict[int, int]] = {}

    with senders_to(stack.port) as senders:
        wait(0.5)
        for fault in faults_of(Faults(stack, relay, random.Random(SEED))):  # noqa: S311 - seeded, so that a run can be repeated
            before = senders.statuses
            fault()
            wait_until(lambda: metric(stack, "surehook_spooled_events") == 0, f"{fault.__name__}: the spool is empty")
            others = {s: n for s, n in (senders.statuses - before).items() if s not in {200, 202}}
            refused |= {fault.__name__: others} if others else {}
    wait_until(lambda: stack.open_events() == len(senders.sent), "all are in the store")

    assert refused == {}
    with stack.redis() as store:
        assert_order(senders, texts(store.lrange("rq:queue:events", 0, -1)))
        assert is_balanced(store)
    assert_each_takes_effect_once(stack, senders)


def test_no_delivery_is_refused_during_a_failover(build_stack: Build, tmp_path_factory: pytest.TempPathFactory) -> None:
    fleet = Fleet(tmp_path_factory.mktemp("f"), replicas=1)
    stack = build_stack(HANDLERS)
    try:
        stack.environ |= {"SUREHOOK_REDIS_URL": fleet.url, "SUREHOOK_DURABILITY": "replicated"}
        stack.environ["SUREHOOK_SPOOL_DIR"] = str(stack.folder / "spool")
        stack.start_ingest()
        wait_until(lambda: "store ready" in stack.logged(), "the store is ready")
        first = fleet.primary()
        with senders_to(stack.port) as senders:
            wait(0.5)
            fleet.kill(first)
            wait_until(lambda: fleet.primary() != first, "Sentinel chose another")
            # Without its replica the new primary takes none of them: they wait until the first is back.
            wait_until(lambda: metric(stack, "surehook_spooled_events") > 0, "events are spooled")
            fleet.restart(first)
            wait_until(lambda: metric(stack, "surehook_spooled_events") == 0, "the spool is empty")
        assert set(senders.statuses) <= {200, 202}
        with fleet.client(fleet.primary()) as store:
            wait_until(lambda: set(texts(store.zrange("surehook:open", 0, -1))) >= senders.sent, "all are in the store")
            arrived = texts(store.lrange("rq:queue:events", 0, -1))
            assert is_balanced(store)
        assert_order(senders, arrived)
        assert len(arrived) == len(set(arrived)) == len(senders.sent)
        assert_each_takes_effect_once(stack, senders)
    finally:
        fleet.close()
