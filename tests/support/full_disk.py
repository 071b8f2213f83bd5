"""A disk on which no file of this process can grow. Other processes, the store among them, are not affected."""

import resource
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager


@contextmanager
def _files_of(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def full_disk() -> AbstractContextManager[None]:
    return _files_of(1)


def room_on_the_disk() -> AbstractContextManager[None]:
    """There is room again, inside of `full_disk`."""
    return _files_of(resource.getrlimit(resource.RLIMIT_FSIZE)[1])
