"""Runs every mutant against its tests, in copies of the repository, and prints which ones no test noticed.

`python -m tests.support.mutants [WORD…]` runs those whose name contains one of the words.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar

from tests.support.mutants.mutant import Mutant
from tests.support.mutants.table import MUTANTS, ROOT

COPIES = 2
# For one file of tests. A mutant may make a test wait for what never comes; that kills it as well.
TIMEOUT_SECONDS = 300
LEFT_OUT = shutil.ignore_patterns(".venv*", ".git", "__pycache__", ".*_cache", "data", "bench")
PASSED, FAILED = 0, 1  # pytest's exit statuses
T = TypeVar("T")
R = TypeVar("R")


def main(words: list[str]) -> int:
    """Print one line for each mutant. Returns 1 if one survives or cannot be tried."""
    chosen = [each for each in MUTANTS if not words or any(word in each.name for word in words)]
    with tempfile.TemporaryDirectory(prefix="surehook-mutants-") as folder:
        copies: SimpleQueue[Path] = SimpleQueue()
        for number in range(COPIES):
            copies.put(Path(shutil.copytree(ROOT, Path(folder) / str(number), symlinks=True, ignore=LEFT_OUT)))
        failing = [tests for tests, is_passing in _each(_passes, sorted({each.tests for each in chosen}), copies)
                   if not is_passing]  # fmt: skip
        if failing:
            sys.stderr.write(f"these tests fail without any mutant: {', '.join(failing)}\n")
            return 1
        survivors = sum(not is_killed for _, is_killed in _each(_is_killed, chosen, copies))
    sys.stdout.write(f"{len(chosen)} mutants, {survivors} not killed\n")
    return 1 if survivors else 0


def _each(check: Callable[[T, Path], R], items: Iterable[T], copies: "SimpleQueue[Path]") -> list[tuple[T, R]]:
    """Call `check` for each item, with a copy of the repository that no other call uses."""

    def call(item: T) -> tuple[T, R]:
        copy = copies.get()
        try:
            return item, check(item, copy)
        finally:
            copies.put(copy)

    with ThreadPoolExecutor(COPIES) as pool:
        return list(pool.map(call, items))


def _passes(tests: str, copy: Path) -> bool:
    return _run(copy, tests) == PASSED


def _is_killed(mutant: Mutant, copy: Path) -> bool:
    script = copy / "shared" / "scripts" / f"{mutant.script}.lua"
    source, started_at = script.read_text(), time.monotonic()
    try:
        script.write_text(source.replace(mutant.before, mutant.after, 1))
        status = _run(copy, mutant.tests)
    finally:
        script.write_text(source)
    result = {PASSED: "SURVIVED", FAILED: "killed", None: "killed"}.get(status, "BROKEN")
    seconds = time.monotonic() - started_at
    sys.stdout.write(f"{result:<9}{seconds:4.0f} s  {mutant.script:<17}{mutant.name}\n")
    sys.stdout.flush()
    return result == "killed"


def _run(copy: Path, tests: str) -> int | None:
    """Returns pytest's exit status; None if the tests do not end."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", f"tests/integration/{tests}.py"]
    # Before the installed package, which is the repository itself.
    environ = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    process = subprocess.Popen(command, cwd=copy, env=environ, stdout=subprocess.DEVNULL)
    try:
        return process.wait(TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)  # its fixtures stop the store
        process.wait()
        return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
