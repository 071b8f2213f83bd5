"""The processes of `surehook dev`: started in order, watched, stopped in order."""

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import httpx

from surehook.fusionauth.own_endpoint import endpoint_url, tls_trust
from surehook.shared.child_processes import start_child
from surehook.shared.embedded import embedded_store
from surehook.shared.errors import Misconfigured, SurehookError
from surehook.shared.exit_status import MISCONFIGURED
from surehook.shared.settings import Settings
from surehook.verbs.output import echo
from surehook.verbs.reload import ChangeWatch
from surehook.verbs.start import pause_unless_stopped

POLL_SECONDS = 0.1
READY_SECONDS = 600  # a store loads half a million events in 40 s, and any process that ends is noticed at once
STOP_SECONDS = 10
STORE_TIMEOUT_SECONDS = 10.0


class Children:
    """The processes of one `surehook dev`."""

    def __init__(self, store: "subprocess.Popen[bytes] | None") -> None:
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._store = store

    def start(self, verb: str, *options: str, pass_fds: Sequence[int] = ()) -> None:
        self._processes[verb] = start_child(["-m", "surehook", verb, *options], pass_fds=pass_fds)

    def start_worker(self, stops: list[int], *options: str) -> None:
        """Starts the worker and waits until each of its queues has a process that takes events."""
        ready, ours = os.pipe()
        try:
            self.start("worker", *options, "--ready-fd", str(ours), pass_fds=(ours,))
            os.close(ours)
            os.set_blocking(ready, False)
            self.wait_until(lambda: _has_line(ready), stops, "no worker became ready; the lines above say why")
        finally:
            os.close(ready)

    def restart(self, verb: str, stops: list[int], *options: str) -> None:
        """Lets a process finish what it does, and starts it anew."""
        process = self._processes.pop(verb, None)
        if process is not None:
            process.terminate()
            while process.poll() is None and not stops:
                time.sleep(POLL_SECONDS)
        if stops and process is not None:
            self._processes[verb] = process  # `stop` waits for it
        else:
            self.start(verb, *options)

    def forget_misconfigured(self, verb: str) -> bool:
        """Forgets a process that has ended with exit status 2, after saying why. Returns whether it has."""
        process = self._processes.get(verb)
        if process is None or process.poll() != MISCONFIGURED:
            return False
        del self._processes[verb]
        return True

    def check_alive(self) -> None:
        """
        Raises:
            Misconfigured: a process ended with exit status 2, after saying why.
            SurehookError: a process ended otherwise.
        """
        processes: Mapping[str, subprocess.Popen[bytes]] = self._processes
        if self._store is not None:
            processes = {**processes, "store": self._store}
        for name, process in processes.items():
            if (status := process.poll()) is not None:
                error = Misconfigured if status == MISCONFIGURED else SurehookError
                raise error(f"{name} ended with status {status}, so everything stops")

    def watch(self, stops: list[int]) -> None:
        while not stops:
            self.check_alive()
            time.sleep(POLL_SECONDS)

    def wait_until(self, condition: Callable[[], bool], stops: list[int], otherwise: str) -> None:
        """
        Raises:
            SurehookError: the condition does not come true in time; `otherwise` is its text.
        """
        deadline = time.monotonic() + READY_SECONDS
        while not stops:
            self.check_alive()
            if condition():
                return
            if time.monotonic() > deadline:
                raise SurehookError(otherwise)
            time.sleep(POLL_SECONDS)

    def stop(self, grace_seconds: float, stops: list[int]) -> None:
        """Stop ingest first, so that nothing new comes. The worker finishes its jobs, unless Ctrl-C comes again."""
        for name in ("ingest", "dashboard", "worker"):
            if name in self._processes:
                self._processes[name].terminate()
        patience_ends = time.monotonic() + grace_seconds
        deadline = patience_ends + STOP_SECONDS
        known_stops = len(stops)
        while time.monotonic() < deadline and any(process.poll() is None for process in self._processes.values()):
            is_late = time.monotonic() > patience_ends  # a worker that is started anew has a longer grace period
            if (len(stops) > known_stops or is_late) and "worker" in self._processes:
                known_stops, patience_ends = len(stops), deadline
                self._processes["worker"].terminate()
            time.sleep(POLL_SECONDS)
        for process in self._processes.values():
            if process.poll() is None:
                process.kill()
            process.wait()


def _has_line(pipe: int) -> bool:
    """False also at the end of the pipe, whose process has ended."""
    with contextlib.suppress(BlockingIOError):
        return bool(os.read(pipe, 1))
    return False


@contextlib.contextmanager
def running_store(settings: Settings, stops: list[int]) -> "Iterator[subprocess.Popen[bytes] | None]":
    """The embedded store while the block lasts, or None where SUREHOOK_REDIS_URL names another."""
    if settings.redis_url is not None:
        yield None
        return
    with embedded_store(settings.data_dir, pause_unless_stopped(stops)) as server:
        yield server


def wait_until_ready(settings: Settings, children: Children, stops: list[int]) -> None:
    trusted = tls_trust(settings)

    def is_ready() -> bool:
        with contextlib.suppress(httpx.TransportError):
            url = endpoint_url(settings, "/readyz")
            # A proxy of the environment is for other addresses than our own endpoint's.
            return httpx.get(url, timeout=1, verify=trusted, trust_env=False).is_success
        return False

    children.wait_until(is_ready, stops, "ingest did not become ready; the lines above say why")


@contextlib.contextmanager
def watching(folder: Path) -> Iterator[ChangeWatch]:
    """Notes changes of Python files while the block lasts."""
    watched = ChangeWatch(folder)
    watched.start()
    try:
        yield watched
    finally:
        watched.stop()


def watch_and_reload(children: Children, stops: list[int], watched: ChangeWatch, worker_options: Sequence[str]) -> None:
    """Starts the worker again after each change of the user's code; one that does not import waits for the next."""
    while not stops:
        if children.forget_misconfigured("worker"):
            echo("the worker is not running: correct the above, and it starts again")
        children.check_alive()
        if names := watched.changes():
            more = f" and {len(names) - 1} more" if names[1:] else ""
            echo(f"{names[0]}{more} changed, the worker finishes what runs and starts again")
            children.restart("worker", stops, *worker_options)
        time.sleep(POLL_SECONDS)
