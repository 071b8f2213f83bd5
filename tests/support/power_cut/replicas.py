"""A primary and its replicas, on machines whose power can be cut one by one."""

import subprocess
from pathlib import Path

from surehook.shared.embedded import start_server, stop_server
from surehook.shared.keys import Keys
from surehook.shared.scripts import texts
from tests.support.power_cut.disk import Disk
from tests.support.replicas import Fleet


class FragileFleet(Fleet):
    """Each server has a disk of its own, which keeps what was fsynced."""

    def __init__(self, folder: Path, replicas: int) -> None:
        self._disks: dict[int, Disk] = {}
        super().__init__(folder, replicas)

    def cut_power(self, port: int) -> None:
        self.kill(port)
        self._disks[port].lose_power()

    def open_events_alone(self, port: int) -> set[str]:
        """Starts a server without the others, on its disk alone, and returns the events that it has."""
        server = self.servers[port] = start_server(self._folder / str(port), "--port", str(port))
        try:
            with self.client(port) as store:
                return set(texts(store.zrange(Keys().open, 0, -1)))
        finally:
            stop_server(server)

    def _start(self, port: int, primary: int) -> "subprocess.Popen[bytes]":
        if port not in self._disks:
            (self._folder / str(port)).mkdir()
            self._disks[port] = Disk(self._folder / f"{port}-synced", self._folder / str(port) / "appendonlydir")
        with self._disks[port].watches_children():
            return super()._start(port, primary)
