"""docs/handlers.md: its handlers load, and its tests pass."""

import re
import subprocess
import sys
from pathlib import Path

import surehook.events

PAGE = (Path(__file__).parents[2] / "docs" / "handlers.md").read_text("utf-8")


def assert_passed(count: int, folder: Path) -> None:
    """Run the tests in a folder as a reader of the page would."""
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", folder],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )

    assert f"{count} passed" in ran.stdout, ran.stdout + ran.stderr


def test_the_examples_of_the_page_run(tmp_path: Path) -> None:
    for name, code in re.findall(r"```python\n# (\w+\.py)\n(.*?)```", PAGE, re.DOTALL):
        (tmp_path / name).write_text(code)

    assert_passed(6, tmp_path)


OLDER_EVENT_LAST = """
from mirror import copy_email, mirror
from surehook.events import UserUpdateComplete
from surehook.testing import an_event, deliver


def an_update(instant, email, before):
    user = {"lastUpdateInstant": instant, "email": email}
    return an_event(UserUpdateComplete, user=user, original=user | {"email": before})


def test_an_older_event_that_arrives_last_is_skipped_and_so_is_one_that_changes_something_else():
    newest, older = an_update(2000, "new@example.com", "old@example.com"), an_update(1000, "old@example.com", "a@b.c")
    login = an_update(3000, "new@example.com", "new@example.com")

    ran = deliver([newest, older, login], copy_email)["mirror_copy_email"]

    assert [each.outcome for each in ran] == ["done", "outdated", "unchanged"]
    assert list(mirror.values()) == ["new@example.com"]
"""


def test_the_mirror_of_the_page_keeps_the_newest_state(tmp_path: Path) -> None:
    code = re.search(r"```python\n# mirror\.py\n(.*?)```", PAGE, re.DOTALL)
    assert code is not None
    (tmp_path / "mirror.py").write_text(code[1])
    (tmp_path / "test_mirror.py").write_text(OLDER_EVENT_LAST)

    assert_passed(1, tmp_path)


def test_the_classes_that_the_page_names_exist() -> None:
    named = set(re.findall(r"\b(?:User|Group|Entity)\w*Event\b|\b(?:User|Group)[A-Z]\w+\b", PAGE))

    assert named <= set(surehook.events.__all__)
    assert len(named) > 10


# Django on SQLite. A database that restarts ends the connections of idle threads: the test closes them under Django.
RECIPE_TEST = """
import django
from django.conf import settings

settings.configure(DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "a.sqlite3"}})
django.setup()
from django.db import connection
from connections import with_connections
from surehook import on
from surehook.testing import an_event, run_handler

opened = []

def query():
    with connection.cursor() as cursor: cursor.execute("SELECT 1")
    opened.append(connection.connection)

@on("user.create", name="kept")
def kept(event): query()

@on("user.create", name="fresh")
@with_connections
def fresh(event, attempt):
    assert attempt.number == 1
    query()

@on("user.create", name="asynchronous")
@with_connections
async def asynchronous(event):
    import asyncio
    await asyncio.sleep(0)
    await asyncio.to_thread(query)
    done.append(event.id)

done = []

def outcomes(handler):
    runs = [run_handler(handler, an_event("user.create")).outcome]
    opened[-1].close()
    return runs + [run_handler(handler, an_event("user.create")).outcome for _ in range(3)]

def test_without_the_recipe_every_later_event_fails(): assert outcomes(kept) == ["done"] + ["failed"] * 3

def test_with_the_recipe_none_fails(): assert outcomes(fresh) == ["done"] * 4

def test_an_async_handler_runs(): assert run_handler(asynchronous, an_event("user.create")).outcome == "done" and done
"""


def test_the_recipe_for_connections_survives_a_restart_of_the_database(tmp_path: Path) -> None:
    (recipe,) = re.findall(r"```python\n# connections.py\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "connections.py").write_text(recipe)
    (tmp_path / "test_recipe.py").write_text(RECIPE_TEST)

    assert_passed(3, tmp_path)
