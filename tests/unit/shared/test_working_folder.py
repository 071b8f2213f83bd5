"""A supervisor's folder goes with it, or with the next supervisor. The killed process is real, as it holds the lock."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from surehook.shared.working_folder import MAKING_SECONDS, working_folder

PREFIX = "surehook-test-"
HOLDS = f"""
import subprocess, sys
from surehook.shared.working_folder import working_folder
with working_folder("{PREFIX}") as folder:
    child = subprocess.Popen(["sleep", "60"], pass_fds=(folder.lock,), stdout=subprocess.DEVNULL)
    print(child.pid, flush=True)
    input()
"""


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))


@contextmanager
def a_killed_supervisor() -> Iterator[int]:
    """Yields the pid of its child, which lives on for a moment."""
    supervisor = subprocess.Popen(
        [sys.executable, "-c", HOLDS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    assert supervisor.stdout
    child = int(supervisor.stdout.readline())
    supervisor.kill()
    supervisor.communicate()
    try:
        yield child
    finally:
        os.kill(child, signal.SIGKILL)


def folders(parent: Path) -> list[Path]:
    return sorted(parent.glob(f"{PREFIX}*"))


def test_it_goes_at_the_end(tmp_path: Path) -> None:
    with working_folder(PREFIX) as folder:
        (folder.path / "a file").touch()
        assert folders(tmp_path) == [folder.path]

    assert folders(tmp_path) == []


def test_that_of_a_killed_supervisor_stays_for_its_processes_and_then_goes(tmp_path: Path) -> None:
    with a_killed_supervisor():
        (left,) = folders(tmp_path)
        with working_folder(PREFIX) as folder:
            assert folders(tmp_path) == sorted([left, folder.path])

    gone = False
    while not gone:  # the killed child ends at any moment
        with working_folder(PREFIX) as folder:
            gone = folders(tmp_path) == [folder.path]


def test_one_in_use_stays(tmp_path: Path) -> None:
    with working_folder(PREFIX) as first, working_folder(PREFIX) as second:
        assert folders(tmp_path) == sorted([first.path, second.path])


def test_one_without_a_lock_goes_when_it_is_old(tmp_path: Path) -> None:
    old, new, file, link = (tmp_path / f"{PREFIX}{name}" for name in ("old", "new", "file", "link"))
    old.mkdir()
    new.mkdir()
    file.touch()
    link.symlink_to(new)
    os.utime(old, (0, new.stat().st_mtime - MAKING_SECONDS - 1))

    with working_folder(PREFIX) as folder:
        assert folders(tmp_path) == sorted([new, file, link, folder.path])
