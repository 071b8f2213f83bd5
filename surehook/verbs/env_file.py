"""Adds settings to `.env`, which only its owner may read."""

import os
from pathlib import Path

from surehook.shared.files import read_text

ENV_FILE = Path(".env")


def append_to_env_file(lines: str) -> None:
    """Replaces the file in one step, so that a reader sees the old or the new one."""
    before = read_text(ENV_FILE) if ENV_FILE.exists() else ""
    if before and not before.endswith("\n"):
        before += "\n"
    fresh = ENV_FILE.with_name(f".env.{os.getpid()}")
    fresh.unlink(missing_ok=True)  # left behind by a killed process with this number
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(f"{before}{lines}")
        file.flush()
        os.fsync(file.fileno())  # or a power cut may leave an empty file in the place of the old one
    fresh.replace(ENV_FILE)
