"""A TCP relay in front of a store: new connections reach the current target, earlier ones stay where they were."""

import contextlib
import socket
import threading
from collections.abc import Iterator


class SwitchingRelay:
    """`target` is the port that new connections reach."""

    def __init__(self, target: int) -> None:
        self.target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        for each in (self._listener, *self._sockets):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)  # ends what waits for it
        for thread in self._threads:
            thread.join()
        for each in (self._listener, *self._sockets):
            each.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._sockets.append(client)
                try:
                    server = socket.create_connection(("127.0.0.1", self.target))
                except OSError:
                    client.shutdown(socket.SHUT_RDWR)
                    continue
                self._sockets.append(server)
                for source, sink in ((client, server), (server, client)):
                    thread = threading.Thread(target=_copy, args=(source, sink))
                    self._threads.append(thread)
                    thread.start()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def switching_relay(target: int) -> Iterator[SwitchingRelay]:
    relay = SwitchingRelay(target)
    try:
        yield relay
    finally:
        relay.close()
