"""The Dockerfile and docker-compose.yml, read against the commands and settings that exist."""

import re
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from tests.support.containers import (
    OURS,
    PREFIX,
    ROOT,
    SUPPLIED_BY_THE_OPERATOR,
    compose_config,
    copied_into_the_build,
    image_environment,
    image_says,
    needs_compose,
    read_compose,
    read_instructions,
    seconds,
    the_service,
)


@pytest.mark.parametrize("name", OURS)
def test_every_variable_of_ours_is_a_setting(name: str) -> None:
    # Imported here, so that the checks of the two files do not need the package.
    from surehook.shared.settings import Settings

    used = {*image_environment(), *the_service(name)["environment"]}

    ours = {variable.removeprefix(PREFIX).lower() for variable in used if variable.startswith(PREFIX)}
    assert ours
    assert ours <= set(Settings.model_fields)


def test_every_variable_the_file_asks_for_reaches_the_service_under_its_name() -> None:
    for name in OURS:
        for variable, value in the_service(name)["environment"].items():
            asked = re.findall(r"\$\{(SUREHOOK_\w+)", value)
            assert asked in ([], [variable])


@pytest.mark.parametrize("name", OURS)
def test_settings_accept_what_a_service_gets(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from surehook.shared.settings import load_settings

    monkeypatch.chdir(tmp_path)
    for variable, value in {**image_environment(), **the_service(name)["environment"]}.items():
        default = re.sub(r"\$\{\w+:-(.*?)\}", r"\1", value)
        monkeypatch.setenv(variable, SUPPLIED_BY_THE_OPERATOR.get(variable, default))

    settings = load_settings()

    assert settings.redis_url is not None
    assert str(settings.redis_url) == "redis://valkey:6379/0"


@pytest.mark.parametrize("name", OURS)
def test_every_command_of_ours_exists(name: str) -> None:
    from surehook.main import VERBS

    command = the_service(name)["command"]

    assert command[0] == name
    assert command[0] in VERBS


def test_image_starts_the_surehook_command_that_the_project_installs() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

    entrypoint = " ".join(image_says("ENTRYPOINT")).strip("[]")

    assert entrypoint in project["scripts"]
    assert image_says("STOPSIGNAL") == ["SIGTERM"]


def test_image_gets_every_package_of_the_project_and_nothing_by_accident() -> None:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    packages = {package.partition(".")[0] for package in pyproject["tool"]["setuptools"]["packages"]}
    ignored, *let_through = [
        line for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if not line.startswith("#")
    ]

    copied = copied_into_the_build()

    assert packages | {pyproject["project"]["readme"], "LICENSE"} <= set(copied)
    assert ignored == "*"
    assert sorted(copied) == sorted(line[1:] for line in let_through if line.startswith("!"))


def test_image_installs_only_what_the_lock_file_names_and_hashes() -> None:
    installs = [
        rest for keyword, rest in read_instructions() if keyword == "RUN" and "install" in rest and "pip" in rest
    ]

    assert len(installs) == 2
    assert "--require-hashes" in installs[0]
    assert installs[0][-2:] == ["-r", "requirements.lock"]
    assert "--no-deps" in installs[1]


def test_store_writes_to_disk_before_it_responds_and_never_evicts() -> None:
    valkey = the_service("valkey")

    flags = dict(pairwise(valkey["command"]))

    assert flags["--appendonly"] == "yes"
    assert flags["--appendfsync"] == "always"
    assert flags["--no-appendfsync-on-rewrite"] == "no"
    assert flags["--maxmemory-policy"] == "noeviction"
    assert int(flags["--stream-node-max-bytes"]) < 4096
    assert valkey["volumes"] == ["valkey:/data"]
    assert "valkey" in read_compose()["volumes"]
    assert "valkey-cli ping" in valkey["healthcheck"]["test"][1]


def test_the_spool_of_ingest_is_on_a_volume() -> None:
    ingest = read_compose()["services"]["ingest"]

    volume, _, folder = ingest["volumes"][0].partition(":")

    assert ingest["environment"]["SUREHOOK_SPOOL_DIR"].startswith(f"{folder}/")
    assert volume in read_compose()["volumes"]


@pytest.mark.parametrize("name", [*OURS, "valkey"])
def test_service_has_no_more_rights_than_it_needs(name: str) -> None:
    service = the_service(name)

    assert service["user"] not in ("", "root", "0", "0:0")
    assert service["read_only"] is True
    assert service["tmpfs"] == ["/tmp"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", OURS)
def test_service_runs_as_the_user_the_image_was_made_for(name: str) -> None:
    user = the_service(name)["user"]

    assert [user] == image_says("USER")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)


@pytest.mark.parametrize("name", OURS)
def test_service_waits_for_a_store_that_answers(name: str) -> None:
    assert the_service(name)["depends_on"] == {"valkey": {"condition": "service_healthy"}}


@pytest.mark.parametrize("name", OURS)
def test_service_may_stop_for_longer_than_its_work_may_take(name: str) -> None:
    from surehook.shared.settings import Settings

    service = the_service(name)

    assert "SUREHOOK_GRACE" not in {**image_environment(), **service["environment"]}
    assert seconds(service["stop_grace_period"]) > Settings.model_fields["grace"].default


@pytest.mark.parametrize(
    ("name", "bind", "path"),
    [
        pytest.param("ingest", "SUREHOOK_BIND", "/readyz", id="ingest"),
        pytest.param("worker", "SUREHOOK_WORKER_METRICS_BIND", "/readyz", id="worker"),
        pytest.param("dashboard", "SUREHOOK_DASHBOARD_BIND", "/", id="dashboard"),
    ],
)
def test_health_check_asks_the_address_the_service_listens_on(name: str, bind: str, path: str) -> None:
    service = the_service(name)
    port = {**image_environment(), **service["environment"]}[bind].rpartition(":")[2]

    *python, probe = service["healthcheck"]["test"]

    assert python == ["CMD", "python", "-c"]
    compile(probe, name, "exec")
    assert f'"127.0.0.1", {port},' in probe
    assert f'"GET", "{path}"' in probe


def test_workers_can_be_scaled() -> None:
    worker = the_service("worker")

    assert "ports" not in worker
    assert "container_name" not in worker
    assert "hostname" not in worker


@pytest.mark.parametrize("name", ["ingest", "dashboard"])
def test_published_port_is_closed_to_other_machines_unless_the_operator_opens_it(name: str) -> None:
    service = the_service(name)

    [published] = service["ports"]

    assert re.fullmatch(r"\$\{\w+:-127\.0\.0\.1:(\d+)\}:\1", published)


@pytest.mark.parametrize(
    ("name", "variable"), [("ingest", "SUREHOOK_API_KEYS"), ("dashboard", "SUREHOOK_DASHBOARD_LOGIN")]
)
def test_secret_has_no_default_and_its_absence_says_what_to_do(name: str, variable: str) -> None:
    value = the_service(name)["environment"][variable]

    assert value.startswith(f"${{{variable}:?put {variable}=")
    assert value.index("}") == len(value) - 1


def test_example_handlers_keep_their_todos_on_a_volume() -> None:
    worker = the_service("worker")

    volume, _, folder = worker["volumes"][0].partition(":")

    assert volume in read_compose()["volumes"]
    assert Path(worker["environment"]["TODOS_DB"]).parent == Path(folder)
    assert folder in image_says("RUN")


@needs_compose
def test_compose_accepts_the_file() -> None:
    config = compose_config(SUPPLIED_BY_THE_OPERATOR)

    assert config.returncode == 0, config.stderr
    assert set(yaml.safe_load(config.stdout)["services"]) == {*OURS, "valkey"}


@needs_compose
@pytest.mark.parametrize("missing", SUPPLIED_BY_THE_OPERATOR)
def test_compose_refuses_to_start_without_a_secret(missing: str) -> None:
    supplied = {name: value for name, value in SUPPLIED_BY_THE_OPERATOR.items() if name != missing}

    config = compose_config(supplied)

    assert config.returncode != 0
    assert f"put {missing}=" in config.stderr
