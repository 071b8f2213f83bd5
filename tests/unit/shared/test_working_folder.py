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

from surehook.shared.working_folder import working_folder

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


def test_files_and_links_of_such_a_name_stay(tmp_path: Path) -> None:
    unlocked, file, link, elsewhere = (tmp_path / name for name in (f"{PREFIX}1", f"{PREFIX}2", f"{PREFIX}3", "other"))
    unlocked.mkdir()
    elsewhere.mkdir()
    file.touch()
    link.symlink_to(elsewhere)

    with working_folder(PREFIX) as folder:
        assert folders(tmp_path) == sorted([file, link, folder.path])
    assert elsewhere.exists()


def test_one_that_another_supervisor_removes_before_it_is_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = iter([tmp_path / "gone", tmp_path / f"{PREFIX}second"])

    def mkdtemp(prefix: str) -> str:
        name = next(names)
        if name.name.startswith(prefix):
            name.mkdir()
        return str(name)

    monkeypatch.setattr(tempfile, "mkdtemp", mkdtemp)

    with working_folder(PREFIX) as folder:
        assert folder.path == tmp_path / f"{PREFIX}second"
