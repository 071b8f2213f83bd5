"""Runs every mutant against its tests, in a copy of the repository, and prints which ones no test noticed.

`python -m tests.support.mutants [WORD…]` runs those whose name contains one of the words.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from tests.support.mutants.table import MUTANTS, ROOT, Mutant

COPIES = 2
TIMEOUT_SECONDS = 300
LEFT_OUT = shutil.ignore_patterns(".venv*", ".git", "__pycache__", ".*_cache", "data", "bench")
FAILED = 1  # pytest's exit status when a test has failed


def main(words: list[str]) -> int:
    """Print the table. Returns 1 if a mutant survives or cannot be tried."""
    chosen = [each for each in MUTANTS if not words or any(word in each.name for word in words)]
    with tempfile.TemporaryDirectory(prefix="surehook-mutants-") as folder, ThreadPoolExecutor(COPIES) as pool:
        copies: SimpleQueue[Path] = SimpleQueue()
        for number in range(COPIES):
            copies.put(Path(shutil.copytree(ROOT, Path(folder) / str(number), symlinks=True, ignore=LEFT_OUT)))
        unchanged = sorted({each.tests for each in chosen})
        if _run(Path(folder) / "0", unchanged) != 0:
            sys.stderr.write("the tests fail without any mutant\n")
            return 1
        results = list(pool.map(lambda mutant: _outcome(mutant, copies), chosen))
    for mutant, result in zip(chosen, results, strict=True):
        sys.stdout.write(f"{result:<10}{mutant.script:<20}{mutant.name}\n")
    survivors = [result for result in results if result != "killed"]
    sys.stdout.write(f"{len(chosen)} mutants, {len(survivors)} not killed\n")
    return 1 if survivors else 0


def _outcome(mutant: Mutant, copies: "SimpleQueue[Path]") -> str:
    copy = copies.get()
    script = copy / "shared" / "scripts" / f"{mutant.script}.lua"
    source = script.read_text()
    try:
        script.write_text(source.replace(mutant.before, mutant.after, 1))
        status = _run(copy, [mutant.tests])
    finally:
        script.write_text(source)
        copies.put(copy)
    return {0: "SURVIVED", FAILED: "killed"}.get(status, "BROKEN")


def _run(copy: Path, tests: list[str]) -> int:
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    files = [f"tests/integration/{name}.py" for name in tests]
    # Before the installed package, which is the repository itself.
    environ = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    ran = subprocess.run(
        [*command, *files], cwd=copy, env=environ, stdout=subprocess.DEVNULL, timeout=TIMEOUT_SECONDS, check=False
    )
    return ran.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
