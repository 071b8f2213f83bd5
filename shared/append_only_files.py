"""Checks the append-only files of the embedded store before a server opens them."""

from pathlib import Path

from surehook.shared.errors import Misconfigured

EMPTY_BASE_BYTES = 1024  # a base file without any key has about a hundred


def require_manifest(data_dir: Path) -> None:
    """Checks that files with content have the manifest that names them.

    Without it a server starts empty and writes its own files over them. A server that dies at its first start leaves
    none either, but only empty files.

    Raises:
        Misconfigured: names the folder.
    """
    folder = data_dir / "appendonlydir"
    if any(folder.glob("*.manifest")):
        return
    if any(map(_has_content, folder.glob("*.aof"))) or any(map(_has_content, folder.glob("*.base.*"))):
        raise Misconfigured(
            f"SUREHOOK_DATA_DIR={data_dir}: {folder} has no manifest, so a store would start empty and overwrite what "
            "is there. Restore the whole folder from a backup, or move it away to begin without events"
        )


def _has_content(path: Path) -> bool:
    return path.stat().st_size > (EMPTY_BASE_BYTES if ".base." in path.name else 0)
