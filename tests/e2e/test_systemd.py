"""Each long-running command tells systemd that it is ready, alive and stopping."""

import contextlib
import socket
from collections.abc import Callable

import pytest

from harness.stack import Stack, wait_until

pytestmark = pytest.mark.chaos
Build = Callable[..., Stack]


@pytest.mark.parametrize(
    "command",
    [("ingest",), ("ingest", "--processes", "1"), ("worker",), ("store",), ("reconcile", "--every", "5m")],
    ids=" ".join,
)
def test_a_service_reports_its_start_its_life_and_its_stop(build_stack: Build, command: tuple[str, ...]) -> None:
    stack = build_stack('@on("user.delete", name="seen")\ndef seen(event): effect(os.environ.get("NOTIFY_SOCKET"))')
    heard: list[bytes] = []
    environ = {"SUREHOOK_DATA_DIR": str(stack.folder / "own")} if command == ("store",) else {}
    environ |= {"SUREHOOK_FUSIONAUTH_URL": "http://127.0.0.1:1", "SUREHOOK_FUSIONAUTH_API_KEY": "a-key-for-tests-only"}
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(stack.folder / "notify"))
        manager.setblocking(False)

        def has_heard(state: bytes) -> bool:
            with contextlib.suppress(BlockingIOError):
                heard.append(manager.recv(100))
            return state in heard

        process = stack.surehook(
            *command, NOTIFY_SOCKET=str(stack.folder / "notify"), WATCHDOG_USEC="900000", **environ
        )
        wait_until(lambda: has_heard(b"READY=1"), "it is ready")
        wait_until(lambda: has_heard(b"WATCHDOG=1"), "it is alive")
        process.terminate()
        wait_until(lambda: has_heard(b"STOPPING=1"), "it stops")
        assert process.wait(40) == 0
    assert heard.count(b"READY=1") == 1
