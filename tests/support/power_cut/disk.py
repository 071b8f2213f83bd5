"""Some folders as a disk keeps them: a preloaded library notes each fsync, and `lose_power` undoes everything else."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

SOURCE = Path(__file__).with_name("synced.c")
SHELL_FOLDERS = (".", "..")


@cache
def library() -> Path:
    """Compiles the library, once."""
    compiler = shutil.which("cc")
    assert compiler, "no C compiler on PATH, so no test can cut the power: install one (Debian: gcc and libc6-dev)"
    compiled = Path(mkdtemp(prefix="surehook-")) / "synced.so"
    command = [compiler, "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", str(compiled), str(SOURCE), "-ldl"]
    subprocess.run(command, check=True)
    return compiled


class Disk:
    """Folders that keep of each file what was fsynced, and its name if the folder was fsynced since it got it.

    What the folders hold at the start is on disk. A folder itself always is. `keep` must be on the same file system.
    """

    def __init__(self, keep: Path, *folders: Path) -> None:
        self._keep = keep
        self._folders = folders
        self._start()

    @property
    def environ(self) -> dict[str, str]:
        """The variables of a process that writes to these folders."""
        return {"LD_PRELOAD": str(library()), "SYNCED": str(self._keep)}

    @contextmanager
    def watches_children(self) -> Iterator[None]:
        """Gives the variables to every process that the block starts with this process's environment."""
        os.environ.update(self.environ)
        try:
            yield
        finally:
            for name in self.environ:
                del os.environ[name]

    def lose_power(self) -> int:
        """Undoes what was not fsynced, and returns how many bytes that cost. No writer may be alive."""
        before = self._bytes()
        for folder in self._folders:
            self._cut(folder)
        after = self._bytes()
        self._start()
        return before - after

    def _start(self) -> None:
        shutil.rmtree(self._keep, ignore_errors=True)
        self._keep.mkdir()
        for folder in self._folders:
            folder.mkdir(exist_ok=True)
            files = [path for path in folder.iterdir() if path.is_file()]
            self._note(folder, "names").write_text("".join(f"{path.stat().st_ino} {path.name}\n" for path in files))
            for path in files:
                self._note(path, "file").hardlink_to(path)
                shutil.copyfile(path, self._note(path, "copy"))

    def _note(self, path: Path, kind: str) -> Path:
        return self._keep / f"{path.stat().st_ino}.{kind}"

    def _cut(self, folder: Path) -> None:
        lines = self._note(folder, "names").read_text().splitlines()
        names = {name: inode for inode, _, name in (line.partition(" ") for line in lines) if name not in SHELL_FOLDERS}
        for path in folder.iterdir():
            if path.is_file():
                path.unlink()
        for name, inode in names.items():
            self._restore(folder / name, self._keep / inode)

    def _restore(self, path: Path, noted: Path) -> None:
        file, length, copy = (noted.with_suffix(f".{kind}") for kind in ("file", "length", "copy"))
        if length.exists():
            shutil.copyfile(file, path)
            os.truncate(path, int(length.read_text()))
        elif copy.exists():
            shutil.copyfile(copy, path)
        else:
            path.touch()  # its name is on disk, but nothing of what it held

    def _bytes(self) -> int:
        return sum(path.stat().st_size for folder in self._folders for path in folder.iterdir() if path.is_file())
