"""The systemd units and Kubernetes manifests, read against the commands, settings and ports that exist."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from surehook.main import VERBS
from surehook.shared.metrics_server import READY_PATH
from surehook.shared.scale import SCALE_PATH, scale_of
from surehook.shared.settings import SECRETS, Settings
from tests.support.containers import ROOT, image_environment, image_says

UNITS = sorted((ROOT / "deploy/systemd").glob("*.service"))
MANIFESTS = [
    document
    for path in sorted((ROOT / "deploy/kubernetes").glob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text("utf-8"))
]
GRACE = Settings.model_fields["grace"].default
KNOWN = {f"SUREHOOK_{name.upper()}" for name in Settings.model_fields} | {
    f"SUREHOOK_{name.upper()}_FILE" for name in SECRETS
}


def options(unit: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in unit.read_text("utf-8").splitlines():
        if "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def of_kind(kind: str) -> dict[str, dict[str, Any]]:
    return {each["metadata"]["name"]: each for each in MANIFESTS if each["kind"] == kind}


PODS = {
    name: each["spec"]["template"] for kind in ("StatefulSet", "Deployment") for name, each in of_kind(kind).items()
}


def container(name: str) -> dict[str, Any]:
    (found,) = PODS[name]["spec"]["containers"]
    return dict(found)


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_a_unit_runs_a_command_with_settings_that_exist(path: Path) -> None:
    unit = options(path)

    (command,) = unit["ExecStart"]
    assert command.split()[1] in VERBS
    assert set(re.findall(r"SUREHOOK_\w+", path.read_text("utf-8"))) <= KNOWN
    assert (unit["Type"], unit["User"]) == (["notify"], ["surehook"])
    assert float(unit["WatchdogSec"][0]) >= 10
    assert unit["RestartPreventExitStatus"] == ["2"]
    assert float(unit["TimeoutStopSec"][0]) > GRACE + 10
    assert {"NoNewPrivileges", "ProtectSystem", "RestrictNamespaces", "CapabilityBoundingSet"} <= set(unit)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed here")
def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    for path in UNITS:
        text = path.read_text("utf-8").replace("/opt/surehook/bin/surehook", str(Path(sys.executable).resolve()))
        (tmp_path / path.name).write_text(text)

    verified = subprocess.run(
        ["systemd-analyze", "verify", *map(str, sorted(tmp_path.iterdir()))],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert [line for line in verified.stderr.splitlines() if str(tmp_path) in line or "surehook" in line] == []


def test_every_setting_of_a_manifest_exists_and_its_secret_files_are_mounted() -> None:
    text = "\n".join(path.read_text("utf-8") for path in (ROOT / "deploy/kubernetes").glob("*.yaml"))
    secrets = of_kind("Secret")["surehook"]["stringData"]

    assert set(re.findall(r"SUREHOOK_\w+", text)) <= KNOWN
    for name in PODS:
        mounts = {each["mountPath"] for each in container(name)["volumeMounts"]}
        files = [Path(each["value"]) for each in container(name)["env"] if each["name"].endswith("_FILE")]
        assert files
        for file in files:
            assert str(file.parent) in mounts
            assert file.name in secrets


@pytest.mark.parametrize("name", PODS)
def test_a_pod_stops_later_than_its_work_may_take_and_has_few_rights(name: str) -> None:
    pod = PODS[name]["spec"]
    waits = container(name).get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", ["", "0"])

    assert pod["terminationGracePeriodSeconds"] > GRACE + int(waits[1]) + 10
    assert f"{pod['securityContext']['runAsUser']}:{pod['securityContext']['runAsGroup']}" == image_says("USER")[0]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container(name)["securityContext"]["readOnlyRootFilesystem"] is True
    assert container(name)["args"][0] in VERBS


def test_ports_are_those_of_the_image() -> None:
    ports = {name: int(value.rpartition(":")[2]) for name, value in image_environment().items() if "BIND" in name}

    ingest = {each["name"]: each["containerPort"] for each in container("surehook-ingest")["ports"]}
    worker = {each["name"]: each["containerPort"] for each in container("surehook-worker")["ports"]}
    assert ingest == {"webhook": ports["SUREHOOK_BIND"], "metrics": ports["SUREHOOK_METRICS_BIND"]}
    assert worker == {"metrics": ports["SUREHOOK_WORKER_METRICS_BIND"]}
    for service in of_kind("Service").values():
        assert {each["targetPort"] for each in service["spec"]["ports"]} <= set(ingest)
        assert service["spec"]["selector"] == PODS["surehook-ingest"]["metadata"]["labels"]


def test_probes_ask_what_the_processes_answer() -> None:
    asked = {
        (name, probe): container(name)[probe]["httpGet"]["path"]
        for name in PODS
        for probe in ("startupProbe", "livenessProbe", "readinessProbe")
        if probe in container(name)
    }

    assert asked == {
        ("surehook-ingest", "startupProbe"): "/healthz",
        ("surehook-ingest", "livenessProbe"): "/healthz",
        ("surehook-ingest", "readinessProbe"): "/readyz",
        ("surehook-worker", "startupProbe"): "/metrics",
        ("surehook-worker", "readinessProbe"): READY_PATH,
    }


def test_only_one_pod_reconciles() -> None:
    spec = of_kind("Deployment")["surehook-reconcile"]["spec"]

    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


@pytest.mark.parametrize("folder", ["systemd/surehook-reconcile.service", "kubernetes/reconcile.yaml"])
def test_what_reconciles_has_access_to_fusionauth(folder: str) -> None:
    text = (ROOT / "deploy" / folder).read_text("utf-8")

    assert "SUREHOOK_FUSIONAUTH_URL" in text
    assert "fusionauth-api-key" in text.partition("SUREHOOK_FUSIONAUTH_API_KEY_FILE")[2]


def test_the_spool_is_on_a_volume_of_each_pod() -> None:
    (claim,) = of_kind("StatefulSet")["surehook-ingest"]["spec"]["volumeClaimTemplates"]
    mounts = {each["name"]: each["mountPath"] for each in container("surehook-ingest")["volumeMounts"]}
    spool = next(each["value"] for each in container("surehook-ingest")["env"] if each["name"] == "SUREHOOK_SPOOL_DIR")

    assert Path(spool).is_relative_to(mounts[claim["metadata"]["name"]])
    gib = int(claim["spec"]["resources"]["requests"]["storage"].removesuffix("Gi"))
    assert gib * 1024**3 > Settings.model_fields["spool_max_bytes"].default


def test_disruption_budgets_and_the_autoscaler_refer_to_what_is_there() -> None:
    budgets = of_kind("PodDisruptionBudget")
    assert set(budgets) == set(PODS) - {"surehook-reconcile"}  # its one pod may go at any time
    for name, budget in budgets.items():
        assert budget["spec"]["selector"]["matchLabels"] == PODS[name]["metadata"]["labels"]
    scaled = of_kind("ScaledObject")["surehook-worker"]["spec"]
    (trigger,) = scaled["triggers"]
    service, port, path = re.fullmatch(r"http://([\w-]+):(\d+)(/\w+)", trigger["metadata"]["url"]).groups()  # type: ignore[union-attr]
    assert path == SCALE_PATH
    assert int(port) in [each["port"] for each in of_kind("Service")[service]["spec"]["ports"]]
    assert trigger["metadata"]["valueLocation"] in scale_of([], 100, is_suspended=False)
    assert scaled["scaleTargetRef"]["name"] in of_kind("Deployment")
    assert scaled["minReplicaCount"] >= 1
