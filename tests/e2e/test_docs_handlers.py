"""docs/handlers.md: its handlers load, and its tests pass."""

import re
import subprocess
import sys
from pathlib import Path

import surehook.events

PAGE = (Path(__file__).parents[2] / "docs" / "handlers.md").read_text("utf-8")


def test_the_examples_of_the_page_run(tmp_path: Path) -> None:
    for name, code in re.findall(r"```python\n# (\w+\.py)\n(.*?)```", PAGE, re.DOTALL):
        (tmp_path / name).write_text(code)

    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", tmp_path],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert "6 passed" in ran.stdout, ran.stdout + ran.stderr


OLDER_EVENT_LAST = """
from mirror import copy_user, mirror
from surehook.events import UserUpdateComplete
from surehook.testing import an_event, run_handler


def test_an_older_event_that_arrives_last_is_skipped():
    for instant, email in ((2000, "new@example.com"), (1000, "old@example.com")):
        user = {"lastUpdateInstant": instant, "email": email}
        run_handler(copy_user, an_event(UserUpdateComplete, user=user))

    assert [email for _, email in mirror.values()] == ["new@example.com"]
"""


def test_the_mirror_of_the_page_keeps_the_newest_state(tmp_path: Path) -> None:
    code = re.search(r"```python\n# mirror\.py\n(.*?)```", PAGE, re.DOTALL)
    assert code is not None
    (tmp_path / "mirror.py").write_text(code[1])
    (tmp_path / "test_mirror.py").write_text(OLDER_EVENT_LAST)

    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", tmp_path],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert "1 passed" in ran.stdout, ran.stdout + ran.stderr


def test_the_classes_that_the_page_names_exist() -> None:
    named = set(re.findall(r"\b(?:User|Group|Entity)\w*Event\b|\b(?:User|Group)[A-Z]\w+\b", PAGE))

    assert named <= set(surehook.events.__all__)
    assert len(named) > 10
