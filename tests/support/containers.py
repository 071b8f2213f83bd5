"""The Dockerfile and docker-compose.yml as data, and Compose itself if it is installed."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
OURS = ("ingest", "worker", "dashboard", "reconcile")
PREFIX = "SUREHOOK_"
SUPPLIED_BY_THE_OPERATOR = {"SUREHOOK_API_KEYS": "a-key-for-tests-only", "SUREHOOK_DASHBOARD_LOGIN": "ops:a-password"}


def read_compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
    return loaded


def the_service(name: str) -> dict[str, Any]:
    service: dict[str, Any] = read_compose()["services"][name]
    return service


def read_instructions() -> list[tuple[str, list[str]]]:
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text("utf-8"), flags=re.MULTILINE)
    lines = text.replace("\\\n", " ").splitlines()
    words = [shlex.split(line) for line in lines if line.strip()]
    return [(keyword, rest) for keyword, *rest in words]


def last_stage() -> list[tuple[str, list[str]]]:
    instructions = read_instructions()
    start = max(place for place, (keyword, _) in enumerate(instructions) if keyword == "FROM")
    return instructions[start:]


def image_says(wanted: str) -> list[str]:
    return next(rest for keyword, rest in reversed(last_stage()) if keyword == wanted)


def image_environment() -> dict[str, str]:
    return dict(pair.split("=", 1) for keyword, rest in last_stage() if keyword == "ENV" for pair in rest)


def copied_into_the_build() -> list[str]:
    own = [rest for keyword, rest in read_instructions() if keyword == "COPY" and not rest[0].startswith("--from=")]
    return [source for *sources, _ in own for source in sources]


def seconds(duration: str) -> int:
    assert re.fullmatch(r"\d+s", duration), f"write {duration} in seconds"
    return int(duration.removesuffix("s"))


def has_compose() -> bool:
    docker = shutil.which("docker")
    if docker is None:
        return False
    return subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode == 0


def compose_config(environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    docker = shutil.which("docker")
    assert docker is not None
    # Ignore the .env of the machine that runs the tests.
    command = [docker, "compose", "--env-file", "/dev/null", "--profile", "*", "-f", str(ROOT / "docker-compose.yml")]
    command.append("config")
    environ = {"PATH": str(Path(docker).parent), "HOME": str(Path.home()), **environ}
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)


needs_compose = pytest.mark.skipif(
    not has_compose(),
    reason="`docker compose version` does not work here; the other tests read the file",
)
