"""Rules of the repository that no tool checks."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("ingest", "workers", "shared", "surehook", "examples", "harness", "bench", "tests", "tools")
FILES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
SCRIPTS = sorted((ROOT / "shared/scripts").rglob("*.lua"))
LONGEST_FILE = 250
# Generated, with one or two lines for each of the 64 event types: read its generator instead.
GENERATED = {"workers/handlers/overloads.py"}
# We write RQ's keys without its code; rq-dashboard needs it, and the benchmarks compare with it.
RQ_AWARE = {"surehook/dashboard/rq_jobs.py", "bench/workers.py", "bench/straightforward.py"}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_only_listed_files_import_rq() -> None:
    aware = {name_of(path) for path in FILES if re.search(r"^\s*(from|import) rq\b", path.read_text(), re.MULTILINE)}

    assert {name for name in aware if not name.startswith("tests/")} == RQ_AWARE


def test_lua_is_only_in_the_scripts() -> None:
    assert [name_of(path) for path in FILES if "redis.call(" in path.read_text() and path != Path(__file__)] == []
    scripts = [path for path in ROOT.glob("*/**/*.lua") if not name_of(path).startswith((".venv", "build/"))]
    assert {name_of(path.parent) for path in scripts} == {"shared/scripts", "shared/scripts/lib"}


def test_every_package_is_listed_for_the_wheel() -> None:
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    linked = {path for path in (ROOT / "surehook").iterdir() if path.is_symlink()}
    packages = {
        ".".join(("surehook", *path.parent.relative_to(folder.parent if folder in linked else folder).parts))
        for folder in (ROOT / "surehook", *linked)
        for path in folder.rglob("__init__.py")
    }

    assert set(setuptools["packages"]) == packages
    assert {name.partition(".")[2] for name in setuptools["package-dir"]} == {path.name for path in linked}


@pytest.mark.parametrize("path", [path for path in [*FILES, *SCRIPTS] if name_of(path) not in GENERATED], ids=name_of)
def test_a_file_is_one_story(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LONGEST_FILE


def test_commands_print_only_through_the_place_that_makes_control_characters_visible() -> None:
    files = [*(ROOT / "surehook" / "verbs").glob("*.py"), ROOT / "surehook" / "main.py"]
    others = [path for path in files if path.name not in ("output.py", "progress.py")]

    assert [
        path.name
        for path in others
        if re.search(r"click\.s?echo\(|(?<![.\w])print\(|std(out|err)\.write\(", path.read_text("utf-8"))
    ] == []


def test_images_are_named_by_digest_everywhere_the_same() -> None:
    text = "\n".join((ROOT / name).read_text() for name in ("Dockerfile", "docker-compose.yml"))
    images = re.findall(r"^(?:FROM| *image:) +(\S+)", text, re.MULTILINE)

    named = {image.partition("@")[0]: image for image in images if not image.startswith("surehook")}

    assert sorted(named) == ["python:3.11-slim", "valkey/valkey:9"]
    assert all(re.search(r"@sha256:[0-9a-f]{64}$", image) for image in named.values())
    assert {image for image in images if not image.startswith("surehook")} == set(named.values())
