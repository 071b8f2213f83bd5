"""The lists of scripts whose commands an account must be allowed hold every script that the code runs."""

import re
from pathlib import Path

import pytest

from surehook.shared.rights import INGEST_SCRIPTS, WORKER_SCRIPTS

ROOT = Path(__file__).parents[3]
SCRIPTS = {path.stem for path in (ROOT / "shared" / "scripts").glob("*.lua")} - {"missing_rights"}


@pytest.mark.parametrize(("package", "listed"), [("ingest", INGEST_SCRIPTS), ("workers", WORKER_SCRIPTS)])
def test_every_script_of_a_process_is_checked(package: str, listed: tuple[str, ...]) -> None:
    code = "".join(path.read_text() for path in (ROOT / package).rglob("*.py"))

    run = {name for name in SCRIPTS if re.search(rf'"{name}"[,)]', code)}

    assert len(run) > 5
    assert run <= set(listed) <= SCRIPTS
