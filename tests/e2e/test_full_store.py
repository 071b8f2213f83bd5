"""A store fills up to its `maxmemory`: senders are refused, workers make room, senders are welcome again."""

from collections.abc import Callable

from harness.events import an_event
from harness.stack import Stack, wait_until
from tests.support.ledger import ledger

Build = Callable[..., Stack]
MEBIBYTE = 1024 * 1024


def test_a_full_store_is_emptied_by_its_workers_and_takes_events_again(build_stack: Build) -> None:
    stack = build_stack('@on("*", name="it")\ndef it(event): pass\n')
    stack.environ |= {"SUREHOOK_RETENTION": "1", "SUREHOOK_SPOOL_DIR": "off"}
    stack.start_ingest()
    with stack.redis() as store:
        store.config_set("maxmemory", store.info("memory")["used_memory"] + 8 * MEBIBYTE)

        def is_taken() -> bool:
            return stack.deliver(an_event(note="n" * 100_000)).status_code == 202

        accepted = 0
        while is_taken():
            accepted += 1
        assert accepted > 10
        stack.start_worker()  # a request to a full store

        wait_until(lambda: ledger(store).get("done", 0) >= accepted, "all that was accepted is done")
        wait_until(is_taken, "closed events have expired, so there is room")
    wait_until(lambda: stack.open_events() == 0)
    assert "store refuses commands, waiting" not in stack.logged()
