"""The spool of an ingest process that is killed, whose disk is full, or whose folder cannot be used."""

import resource
from collections.abc import Callable

from harness.events import an_event
from harness.stack import Stack, wait_until
from surehook.shared.scripts import texts
from tests.support.ledger import is_balanced

Build = Callable[..., Stack]


def test_a_killed_process_and_a_full_disk_lose_nothing_that_was_acknowledged(build_stack: Build) -> None:
    stack = build_stack()
    ingest = stack.start_ingest()
    stack.kill_store()
    accepted: list[str] = []

    def status() -> int:
        event = an_event(note="n" * 5000)
        answered = stack.deliver(event).status_code
        accepted.extend([event["id"]] if answered == 202 else [])
        return answered

    before = [status() for _ in range(10)]
    sizes = [file.stat().st_size for file in (stack.data / "spool").iterdir()]
    _, unlimited = resource.prlimit(ingest.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(ingest.pid, resource.RLIMIT_FSIZE, (max(sizes) + 20_000, unlimited))
    wait_until(lambda: status() == 503, "its disk is full")
    wait_until(lambda: not stack.is_ready(), "/readyz is red")
    resource.prlimit(ingest.pid, resource.RLIMIT_FSIZE, (unlimited, unlimited))
    wait_until(lambda: status() == 202, "there is room again")
    ingest.kill()
    ingest.wait()
    stack.restart_store()
    stack.start_ingest()

    assert before == [202] * 10
    with stack.redis() as store:
        wait_until(lambda: set(accepted) <= set(texts(store.zrange("surehook:open", 0, -1))), "all are in the store")
        assert is_balanced(store)
    assert stack.run("spool", "list").stdout.startswith("Nothing waits")


def test_a_folder_that_cannot_be_used_is_named_at_the_start(build_stack: Build) -> None:
    stack = build_stack()
    (stack.folder / "file").touch()

    for processes in ((), ("--processes", "2")):
        ended = stack.run("ingest", *processes, SUREHOOK_SPOOL_DIR="file/spool")

        assert ended.returncode == 2
        assert "SUREHOOK_SPOOL_DIR=file/spool: it is not a folder" in ended.stderr
        assert "Traceback" not in ended.stderr
