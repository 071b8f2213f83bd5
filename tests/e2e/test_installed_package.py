"""The wheel brings one name, `surehook`, and works beside a project with its own `shared`, `workers` and `ingest`."""

import os
import shutil
import subprocess
import sys
import sysconfig
import textwrap
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.stack import ROOT, Stack, wait_until

Build = Callable[..., Stack]

SOURCES = ("ingest", "workers", "shared", "surehook", "pyproject.toml", "README.md", "LICENSE")

PROJECT = {
    "shared/__init__.py": "",
    "shared/effects.py": """
        import os

        def effect(*words: object) -> None:
            with open(os.environ["EFFECTS"], "a") as file:
                file.write(" ".join(map(str, words)) + "\\n")
        """,
    "ingest/__init__.py": "SOURCE = 'our ingest'\n",
    "examples/__init__.py": "GREETING = 'our examples'\n",
    "workers/__init__.py": "",
    "workers/hooks.py": """
        from examples import GREETING
        from ingest import SOURCE
        from shared.effects import effect
        from collections.abc import Iterator

        from surehook import Attempt, DeadLetter, Event, around, on, on_dead_letter, resource
        from surehook.events import JWTRefreshTokenRevoke, UserDelete

        class Words:
            greeting = GREETING

        @resource
        def words() -> Iterator[Words]:
            yield Words()

        @around
        def surrounded(event: Event, attempt: Attempt) -> Iterator[None]:
            yield

        @on_dead_letter
        def note(letter: DeadLetter, words: Words) -> None:
            effect(letter.error, words.greeting)

        @on("user.delete", name="forget")
        def forget(event: UserDelete, words: Words) -> None:
            effect(event.id, words.greeting, SOURCE)

        @on("jwt.refresh-token.revoke", name="revoke")
        async def revoke(event: JWTRefreshTokenRevoke, attempt: Attempt, *, words: Words) -> None:
            times = event.application_time_to_live_in_seconds
            seconds: int | None = times.get("cc05d1e2-0000-4000-8000-000000000000") if times else None
            effect(seconds, attempt.handler, words.greeting)
        """,
}
TESTS = {
    "tests/__init__.py": "",
    "tests/test_hooks.py": """
        from collections.abc import Callable
        from pathlib import Path
        from typing import Any

        import pytest

        from surehook.events import UserDelete
        from surehook.testing import Ran
        from workers.hooks import forget

        def test_it_forgets(
            an_event: Callable[..., Any],
            run_handler: Callable[..., Ran],
            tmp_path: Path,
            monkeypatch: pytest.MonkeyPatch,
        ) -> None:
            monkeypatch.setenv("EFFECTS", str(tmp_path / "effects"))
            event = an_event(UserDelete)

            assert run_handler(forget, event).outcome == "done"
            assert (tmp_path / "effects").read_text() == f"{event.id} our examples our ingest\\n"
        """,
}
WRONG_HANDLER = """
    from surehook import on
    from surehook.events import UserCreate

    @on("user.delete")
    def wrong(event: UserCreate) -> None: ...
    """


@dataclass(frozen=True)
class Project:
    """A user's project, and the fresh environment that runs it."""

    folder: Path
    sources: Path
    python: Path

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [str(self.python), *arguments],
            cwd=self.folder,
            env=self.environ(),
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    def environ(self) -> dict[str, str]:
        kept = ("PATH", "HOME", "LANG", "TMPDIR")
        return {**{name: os.environ[name] for name in kept if name in os.environ}, "PYTHONPATH": str(self.sources)}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, because a build leaves its folders beside the sources."""
    copy = tmp_path_factory.mktemp("sources")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, copy / name)
    build = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-c", build, str(folder)], cwd=copy, check=True, capture_output=True)
    (path,) = folder.iterdir()
    return path


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with the wheel in it, and in sight of the dependencies of this one."""
    environment = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    python = environment / "bin" / "python"
    install = ["pip", "install", "--quiet", "--offline", "--no-deps", "--python", str(python), str(wheel)]
    subprocess.run([sys.executable, "-m", "uv", *install], check=True)
    (site_packages,) = environment.glob("lib/python*/site-packages")
    # A folder named here is searched last, and its own .pth files are not read: the checkout stays invisible.
    (site_packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


@pytest.fixture(params=["flat", "src"])
def project(request: pytest.FixtureRequest, python: Path, tmp_path: Path) -> Project:
    folder = tmp_path / "project"
    sources = folder / "src" if request.param == "src" else folder
    for below, files in ((sources, PROJECT), (folder, TESTS)):
        for name, source in files.items():
            path = below / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(source))
    return Project(folder, sources, python)


def test_the_wheel_brings_one_name_and_everything_below_it(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())

    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == {"surehook"}
    expected = {
        (Path("surehook") / path.relative_to(ROOT / "surehook")).as_posix()
        for path in (ROOT / "surehook").rglob("*")
        if path.suffix in (".py", ".lua", ".html", ".css", ".js") or path.name in ("py.typed", "icon.svg")
    }
    for folder in ("ingest", "workers", "shared"):
        found = (path for path in (ROOT / folder).rglob("*") if path.suffix in (".py", ".lua"))
        expected |= {f"surehook/{path.relative_to(ROOT).as_posix()}" for path in found}
    assert {name for name in names if ".dist-info/" not in name} == expected
    assert {"surehook/py.typed", "surehook/shared/models/__init__.py"} < expected
    assert any(name.endswith(".lua") for name in expected)


def test_the_fresh_environment_imports_the_wheel_and_not_the_checkout(project: Project) -> None:
    printed = project.run("-c", "import surehook, shared; print(surehook.__file__, shared.__file__)")

    surehook, shared = printed.stdout.split()
    assert Path(surehook).is_relative_to(project.python.parents[1])
    assert Path(shared).is_relative_to(project.sources)


def test_its_worker_runs_the_projects_handlers(project: Project, build_stack: Build) -> None:
    stack = build_stack()
    environ = project.environ() | {"SUREHOOK_HANDLERS": "workers.hooks", "SUREHOOK_DATA_DIR": str(stack.data)}
    for role in ("ingest", "worker"):
        stack.processes.append(
            subprocess.Popen(
                [str(project.python.with_name("surehook")), role],
                cwd=project.folder,
                env={**stack.environ, **environ},
                stdin=subprocess.DEVNULL,
                stdout=stack.log,
                stderr=stack.log,
                start_new_session=True,
            )
        )
    wait_until(stack.is_ready, "ingest is ready")

    event_id = stack.deliver().json()["eventId"]

    wait_until(lambda: stack.effects() == [f"{event_id} our examples our ingest"], "the handler has run")


def test_the_projects_tests_use_the_test_kit(project: Project) -> None:
    tested = project.run("-m", "pytest", "-q", "-p", "no:cacheprovider")

    assert "1 passed" in tested.stdout, tested.stdout + tested.stderr


def test_mypy_knows_right_handlers_from_wrong_ones(project: Project, tmp_path: Path) -> None:
    (project.sources / "workers" / "wrong.py").write_text(textwrap.dedent(WRONG_HANDLER))
    places = ["src", "tests"] if project.sources.name == "src" else ["."]

    checked = project.run("-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "mypy"), *places)

    *errors, summary = checked.stdout.splitlines()
    places_of_errors = {project.folder / error.partition(":")[0] for error in errors}
    assert places_of_errors == {project.sources / "workers" / "wrong.py"}, checked.stdout
    assert "Found 1 error in 1 file" in summary
