"""Reads the files that settings name. A pipe is one too: a shell gives the output of a command as `<(command)`."""

import errno
import io
import os
import re
import select
import stat
import time
from pathlib import Path

READ_SECONDS = 30.0  # the command that writes to a pipe may ask its user for a password
LONGEST_BYTES = 4 * 1024 * 1024
_DESCRIPTOR = re.compile(r"/(?:dev|proc/self)/fd/([3-9]|[1-9]\d+)")

# Descriptors by which settings name files: child processes read the same settings.
named_descriptors: set[int] = set()


def read_text(path: Path) -> str:
    """Returns the text without a byte order mark.

    Raises:
        OSError: as `read_file`.
        UnicodeDecodeError: it is not UTF-8.
    """
    return io.TextIOWrapper(io.BytesIO(read_file(path)), "utf-8-sig").read()


def read_file(path: Path, *, is_read_again: bool = False) -> bytes:
    """Returns the content of a file that a setting names. `is_read_again`: a library will open it by its name.

    Raises:
        OSError: it cannot be read, is too large, or is a pipe to which nothing is written.
    """
    # A named pipe without a writer would be waited for in open().
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        is_pipe = stat.S_ISFIFO(os.fstat(descriptor).st_mode)
        named = _DESCRIPTOR.fullmatch(str(path))
        if is_pipe and is_read_again and not named:
            raise OSError(errno.ESPIPE, "it is a pipe, which can be read only once: write it to a file")
        content = _read_within(descriptor, READ_SECONDS)
    finally:
        os.close(descriptor)
    if named:
        named_descriptors.add(int(named[1]))
        if is_pipe:
            _keep(content, int(named[1]))
    return content


def _read_within(descriptor: int, seconds: float) -> bytes:
    ends_at = time.monotonic() + seconds
    ready = select.poll()
    ready.register(descriptor, select.POLLIN)
    content = bytearray()
    while len(content) <= LONGEST_BYTES:
        if not ready.poll(1000 * max(0.0, ends_at - time.monotonic())):
            raise TimeoutError(errno.ETIMEDOUT, f"it is a pipe, and no process has written to it in {seconds:.0f} s")
        try:
            piece = os.read(descriptor, 65_536)
        except BlockingIOError:
            continue
        if not piece:
            return bytes(content)
        content += piece
    raise OSError(errno.EFBIG, "it is larger than 4 MiB")


def _keep(content: bytes, descriptor: int) -> None:
    """Puts the content in the pipe's place, because a pipe can be read only once."""
    if not hasattr(os, "memfd_create"):
        return
    copy = os.memfd_create("setting")
    with open(copy, "wb") as file:  # noqa: PTH123 - it has no path
        file.write(content)
        file.flush()
        os.dup2(copy, descriptor)
