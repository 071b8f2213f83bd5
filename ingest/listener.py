"""Opens the socket that the endpoint listens on: TCP, for both families of addresses, a Unix socket, or systemd's."""

import contextlib
import os
import socket
import stat
from collections.abc import Mapping
from pathlib import Path

from surehook.shared.errors import Misconfigured
from surehook.shared.settings import SYSTEMD, UNIX, host_and_port

BACKLOG = 2048
EVERY_ADDRESS = "::"
FIRST_PASSED_DESCRIPTOR = 3  # sd_listen_fds(3)
ANYONE_MAY_CONNECT = 0o666  # as on the loopback address; the permissions of its folder can restrict it


def listen(address: str, environ: Mapping[str, str] = os.environ) -> socket.socket:
    """Open the listening socket.

    Raises:
        Misconfigured: the address is taken, or does not belong to this machine.
    """
    if address == SYSTEMD:
        listener = _passed_by_systemd(environ)
    else:
        try:
            listener = _unix(Path(address.removeprefix(UNIX))) if address.startswith(UNIX) else _tcp(address)
        except OSError as exc:
            raise Misconfigured(f"SUREHOOK_BIND={address}: {exc.strerror or exc}") from exc
    listener.setblocking(False)
    return listener


def _tcp(address: str) -> socket.socket:
    host, port = host_and_port(address)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    is_for_both = host == EVERY_ADDRESS and socket.has_dualstack_ipv6()
    return socket.create_server((host, port), family=family, backlog=BACKLOG, dualstack_ipv6=is_for_both)


def _unix(path: Path) -> socket.socket:
    _remove_abandoned(path)
    listener = socket.socket(socket.AF_UNIX)
    try:
        listener.bind(str(path))
        path.chmod(ANYONE_MAY_CONNECT)
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _remove_abandoned(path: Path) -> None:
    """Remove the file of a socket that no process listens on any more; it would make the address look taken."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.stat().st_mode):
            return
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(path))
            except ConnectionRefusedError:
                path.unlink()


def _passed_by_systemd(environ: Mapping[str, str]) -> socket.socket:
    if environ.get("LISTEN_PID") != str(os.getpid()) or environ.get("LISTEN_FDS") != "1":
        raise Misconfigured(
            f"SUREHOOK_BIND={SYSTEMD}: systemd has passed no socket, or several. Start the service by its .socket unit "
            "with one ListenStream=, or set SUREHOOK_BIND to an address such as 127.0.0.1:8000"
        )
    return socket.socket(fileno=FIRST_PASSED_DESCRIPTOR)
