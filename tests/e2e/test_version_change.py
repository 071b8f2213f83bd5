"""A rolling upgrade to a version with another store format, and the way back."""

from collections.abc import Callable

from harness.stack import Stack, wait_until
from surehook.shared.keys import Keys
from surehook.shared.store_format import FORMAT, StoreFormat

Build = Callable[..., Stack]
KEYS = Keys()
HANDLERS = '@on("*", name="it")\ndef it(event): effect(event.id)\n'
NEWER = StoreFormat(newest=FORMAT + 1, oldest=FORMAT)
REFUSAL = f"the store has format {FORMAT + 1}, and this version of Surehook reads {FORMAT}"


def test_older_processes_stop_at_a_newer_store_and_go_on_after_the_way_back(build_stack: Build) -> None:
    stack = build_stack(HANDLERS)
    with stack.redis() as store:
        stack.start_ingest()
        before = stack.deliver().json()["eventId"]
        assert store.get(KEYS.store_format) == str(FORMAT).encode()
        store.delete(KEYS.store_format)  # as a version left it that did not write the number
        worker = stack.start_worker()
        wait_until(lambda: stack.effects() == [before], "a store without a number is read")
        assert store.get(KEYS.store_format) == str(FORMAT).encode()

        NEWER.check(store, KEYS)  # the first process of a newer version

        wait_until(lambda: worker.poll() is not None, "the worker stops")
        assert worker.returncode == 2
        wait_until(lambda: not stack.is_ready(), "ingest stops")
        assert stack.deliver().status_code == 503
        assert stack.logged().count(REFUSAL) >= 2
        for command in (["worker"], ["ledger"]):
            ran = stack.run(*command)
            assert (ran.returncode, REFUSAL in ran.stderr) == (2, True), command

        store.set(KEYS.store_format, FORMAT)  # the newer version is gone, and has changed nothing else

        wait_until(stack.is_ready, "ingest goes on by itself")
        after = stack.deliver().json()["eventId"]
        stack.start_worker()
        wait_until(lambda: stack.effects() == [before, after])
        assert stack.run("ledger").returncode == 0
