"""The embedded store's files belong to its user alone, in a folder of any age."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from surehook.shared.embedded import embedded_store, socket_path, start_server, stop_server
from surehook.shared.errors import Misconfigured

OTHERS = 0o077


def open_to_others(folder: Path) -> list[str]:
    return [str(path) for path in folder.rglob("*") if stat.S_IMODE(path.stat().st_mode) & OTHERS]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder that was made before, as any other one."""
    before = os.umask(0)
    yield tmp_path
    os.umask(before)


def test_new_files_are_private_in_a_folder_that_others_can_read(folder: Path) -> None:
    folder.chmod(0o755)
    server = start_server(folder)
    try:
        with redis.Redis(unix_socket_path=str(socket_path(folder)), protocol=2) as store:
            store.set("body", "mara@example.com")
            store.config_set("appendonly", "no")
            store.config_set("appendonly", "yes")
            store.save()
        assert open_to_others(folder) == []
    finally:
        stop_server(server)


def test_files_that_others_could_read_are_closed_to_them(folder: Path) -> None:
    stop_server(start_server(folder))
    for path in folder.rglob("*"):
        path.chmod(0o777 if path.is_dir() else 0o666)
    folder.chmod(0o777)
    (folder / "of-another-program").touch(0o644)

    stop_server(start_server(folder))

    assert open_to_others(folder) == [str(folder / "of-another-program")]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755


def test_a_folder_that_everyone_shares_is_refused(folder: Path) -> None:
    folder.chmod(0o1777)

    with pytest.raises(Misconfigured, match="other users can write to this folder"):
        start_server(folder)

    assert list(folder.iterdir()) == []


def test_a_lock_file_that_is_a_link_leaves_the_file_behind_it_unchanged(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("kept")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "dev.lock").symlink_to(tmp_path / "precious")

    with embedded_store(tmp_path / "data"):
        pass

    assert (tmp_path / "precious").read_text() == "kept"
