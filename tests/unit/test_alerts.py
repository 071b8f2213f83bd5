"""The alerts and the Grafana dashboard, read against the series and the runbook that exist."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.containers import ROOT

ALERTS: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((ROOT / "deploy/alerts.yml").read_text("utf-8"))["groups"]
    for rule in group["rules"]
]
PANELS: list[dict[str, Any]] = json.loads((ROOT / "deploy/grafana/surehook.json").read_text("utf-8"))["panels"]
EXPRESSIONS = [rule["expr"] for rule in ALERTS] + [
    target["expr"] for panel in PANELS for target in panel.get("targets", [])
]
# prometheus-client appends these to the name of a counter or a histogram.
SUFFIXES = re.compile(r"_(total|bucket|count|sum)$")


def declared_series() -> set[str]:
    code = "\n".join(
        path.read_text("utf-8")
        for package in ("ingest", "workers", "shared")
        for path in (ROOT / package).rglob("*.py")
    )
    return set(re.findall(r'"(surehook_\w+)"', code))


def section(anchor: str) -> str:
    """Returns the text under the heading that GitHub gives this anchor, up to the next heading."""
    text = (ROOT / "docs/operations.md").read_text("utf-8")
    for part in re.split(r"^#+ ", text, flags=re.MULTILINE)[1:]:
        heading, _, body = part.partition("\n")
        if re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") == anchor:
            return body
    return ""


def test_every_series_exists_in_the_code() -> None:
    used = {name for expression in EXPRESSIONS for name in re.findall(r"\bsurehook_\w+", expression)}

    assert len(used) > 15
    declared = declared_series()
    assert {name for name in used if name not in declared and SUFFIXES.sub("", name) not in declared} == set()


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_leads_to_a_section_that_names_a_command(rule: dict[str, Any]) -> None:
    page, _, anchor = rule["annotations"]["runbook"].partition("#")

    assert page == "docs/operations.md"
    assert re.search(r"(surehook |valkey-cli|SUREHOOK_)", section(anchor))
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert rule["annotations"]["summary"]


def test_the_dashboard_has_a_row_for_each_question_and_no_panel_over_another() -> None:
    assert [panel["title"] for panel in PANELS if panel["type"] == "row"] == [
        "Are we losing events?",
        "Who waits?",
        "Who fails?",
        "Does FusionAuth reach us?",
    ]
    taken = [
        (x, y)
        for panel in PANELS
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(taken) == len(set(taken))
    assert max(x for x, _ in taken) < 24
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed here")
def test_prometheus_accepts_the_alerts() -> None:
    checked = subprocess.run(
        ["promtool", "check", "rules", str(Path(ROOT / "deploy/alerts.yml"))],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert checked.returncode == 0, checked.stdout + checked.stderr
