"""Workers follow the primary: a failover by Sentinel, and a demoted primary that keeps its connections."""

from collections.abc import Callable, Iterator

import httpx
import pytest

from harness.events import an_event
from harness.stack import Stack, free_port, wait_until
from surehook.shared.embedded import start_server, stop_server
from tests.support.ledger import is_balanced
from tests.support.replicas import Fleet
from tests.support.switching_relay import switching_relay

Build = Callable[..., Stack]
TRANSACTIONAL = {"SUREHOOK_TRANSACTIONAL_EVENTS": "user.create"}
HANDLERS = """
@on("user.delete", name="ordinary")
def ordinary(event): effect(event.id)

@on("user.create", name="decides", transactional=True)
def decides(event): effect(event.id)

@on("user.update", name="again", retries=1)
def again(event, attempt):
    effect("attempt", attempt.number)
    if attempt.number == 1: raise RetryLater(2)

@on("user.login.success", name="long", timeout=60)
def long(event, attempt):
    effect("long began")
    while not os.path.exists("go"): time.sleep(0.02)
    effect("long ended")
"""


@pytest.fixture
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    fleet = Fleet(tmp_path_factory.mktemp("f"), replicas=1)
    yield fleet
    fleet.close()


def status_of(stack: Stack, event_type: str) -> tuple[int, str]:
    event = an_event(event_type)
    try:
        return stack.deliver(event).status_code, event["id"]
    except httpx.TransportError:
        return 0, event["id"]


def is_handled(stack: Stack, event_type: str, status: int) -> bool:
    """Delivers an event until one gets this status, and waits for its handler."""
    event_id = wait_until(lambda: (found := status_of(stack, event_type)) and found[0] == status and found[1])
    wait_until(lambda: event_id in stack.effects(), f"{event_type} is handled")
    return True


def readiness(stack: Stack) -> int:
    return stack.client.get(f"http://127.0.0.1:{stack.worker_metrics_port}/readyz").status_code


@pytest.mark.chaos
@pytest.mark.parametrize("how", ["asked for", "killed"])
def test_workers_of_both_kinds_follow_a_failover_of_sentinel(how: str, build_stack: Build, fleet: Fleet) -> None:
    stack = build_stack(HANDLERS)
    environ = TRANSACTIONAL | {"SUREHOOK_REDIS_URL": fleet.url}
    stack.start_ingest(**environ)
    stack.start_worker(**environ)
    assert is_handled(stack, "user.delete", 202)
    assert is_handled(stack, "user.create", 200)
    first = fleet.primary()

    if how == "killed":
        fleet.kill(first)
    else:
        fleet.fail_over()
        wait_until(lambda: fleet.is_replica(first), "it is a replica now")
    wait_until(lambda: fleet.primary() != first, "Sentinel chose another")

    assert is_handled(stack, "user.delete", 202)
    assert is_handled(stack, "user.create", 200)
    assert stack.logged().count("store available again") < 20
    wait_until(lambda: readiness(stack) == 200, "nothing fails any more")


@pytest.mark.chaos
def test_a_demoted_primary_that_stays_up_keeps_no_worker(
    build_stack: Build, tmp_path_factory: pytest.TempPathFactory
) -> None:
    ports = [free_port(), free_port()]
    options = [("--port", str(port), "--bind", "127.0.0.1", "--repl-diskless-sync-delay", "0") for port in ports]
    old = start_server(tmp_path_factory.mktemp("old"), *options[0])
    new = start_server(tmp_path_factory.mktemp("new"), *options[1], "--replicaof", "127.0.0.1", str(ports[0]))
    stack = build_stack(HANDLERS)
    try:
        with switching_relay(ports[0]) as relay:
            environ = TRANSACTIONAL | {"SUREHOOK_REDIS_URL": f"redis://127.0.0.1:{relay.port}"}
            stack.start_ingest(**environ)
            stack.start_worker("--threads", "4", **environ)
            assert is_handled(stack, "user.create", 200)
            stack.deliver(an_event("user.login.success"))
            wait_until(lambda: "long began" in stack.effects(), "a long handler runs")
            stack.deliver(an_event("user.update"))
            wait_until(lambda: "attempt 1" in stack.effects(), "a retry is scheduled")
            with Fleet.client_of(ports[0]) as first, Fleet.client_of(ports[1]) as second:
                wait_until(lambda: first.zcard("rq:scheduled:events") == 1, "it waits")
                assert first.wait(1, 5000) == 1

                relay.target = ports[1]
                second.execute_command("REPLICAOF", "NO", "ONE")
                first.execute_command("REPLICAOF", "127.0.0.1", ports[1])

                wait_until(lambda: "attempt 2" in stack.effects(), "the retry runs")
                assert is_handled(stack, "user.create", 200)
                # All leases of the old primary would have expired by now.
                lease = second.zrange("surehook:leases:events", 0, -1, withscores=True)[0]
                wait_until(lambda: second.time()[0] * 1000 > lease[1] + 2_000, "the lease was renewed")
                (stack.folder / "go").touch()
                wait_until(lambda: second.zcard("surehook:open") == 0, "all is done")
                wait_until(lambda: is_balanced(second), "the ledger balances")
            assert stack.effects().count("long began") == 1
            assert '"outcome": "discarded"' not in stack.logged()
    finally:
        stop_server(old)
        stop_server(new)
