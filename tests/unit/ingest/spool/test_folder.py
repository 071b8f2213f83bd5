"""Locks show which databases of the spool belong to a process."""

from pathlib import Path
from uuid import UUID, uuid4

import pytest

from surehook.ingest.spool.folder import SpoolFolder


@pytest.fixture
def folder(tmp_path: Path) -> SpoolFolder:
    folder = SpoolFolder(tmp_path / "spool")
    folder.prepare()
    return folder


def test_a_database_is_adopted_once_its_process_has_let_go_of_it(folder: SpoolFolder) -> None:
    mine = folder.new()
    assert folder.is_live(mine.path)
    assert list(folder.left()) == []

    mine.release()

    assert not folder.is_live(mine.path)
    (adopted,) = folder.left()
    assert adopted.path == mine.path
    assert list(folder.left()) == []  # it has a process again
    adopted.delete()
    assert list(folder.path.iterdir()) == []


def test_a_lock_without_a_database_is_removed_unless_a_process_has_it(folder: SpoolFolder) -> None:
    orphan, starting = folder.new(), folder.new()
    orphan.path.unlink()
    starting.path.unlink()
    orphan.release()

    assert list(folder.left()) == []

    assert [path.stem for path in folder.path.iterdir()] == [starting.path.stem]
    starting.delete()


def test_a_database_set_aside_keeps_its_journal_and_is_not_adopted(folder: SpoolFolder) -> None:
    locked = folder.new()
    Path(f"{locked.path}-wal").write_bytes(b"journal")

    locked.set_aside()

    assert list(folder.left()) == []
    assert folder.set_aside() == [Path(f"{locked.path}.set-aside")]
    assert Path(f"{locked.path}.set-aside-wal").read_bytes() == b"journal"


def test_the_folder_and_its_files_are_closed_to_others(folder: SpoolFolder) -> None:
    locked = folder.new()

    modes = {path.stat().st_mode & 0o077 for path in (folder.path, *folder.path.iterdir())}

    assert modes == {0}
    locked.delete()


def test_a_new_database_gets_another_name_if_a_process_takes_its_lock_for_an_orphan(
    folder: SpoolFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken, other = folder.new(), uuid4()
    names = iter([UUID(taken.path.stem), other])
    monkeypatch.setattr("surehook.ingest.spool.folder.uuid4", lambda: next(names))

    made = folder.new()

    assert made.path.stem == other.hex
    taken.delete()
    made.delete()
