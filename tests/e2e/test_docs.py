"""The docs are true: commands run, snippets load, links lead somewhere, tables are complete."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from harness.events import USER_ID, a_body, an_event
from harness.stack import Stack, wait_until
from surehook.shared.settings import Settings
from surehook.shared.sources import PREFIX
from tests.support.terminal import Terminal

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
RUN = r"<!-- run -->\n+```sh\n(.*?)```"
TRANSACTIONS = (ROOT / "docs" / "transactions.md").read_text("utf-8")
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_every_command_of_the_docs_runs(build_stack: Callable[..., Stack]) -> None:
    stack = build_stack()
    (stack.folder / ".venv").symlink_to(ROOT / ".venv")
    terminal = Terminal(stack)
    terminal.wait_for("worker takes events")
    pages = [README, (ROOT / "docs" / "privacy.md").read_text("utf-8")]
    blocks = [block for page in pages for block in re.findall(RUN, page, re.DOTALL)]
    keys = Fernet.generate_key().decode()

    for block in blocks:
        environ = {**stack.environ, "SUREHOOK_DATA_DIR": "store", "SUREHOOK_ENCRYPTION_KEYS": keys}
        ran = subprocess.run(
            ["bash", "-euc", block], cwd=stack.folder, env=environ, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stderr

    assert len(blocks) == 5
    assert terminal.ctrl_c() == 0


def test_the_readmes_handlers_run(build_stack: Callable[..., Stack]) -> None:
    stack = build_stack()
    (snippet,) = re.findall(r"```python\n# myapp/hooks.py\n(.*?)```", README, re.DOTALL)
    (stack.folder / "myapp").mkdir()
    (stack.folder / "myapp" / "hooks.py").write_text(snippet)
    stack.start_ingest()
    stack.start_worker(SUREHOOK_HANDLERS="myapp.hooks")

    stack.run("trigger", "user.delete")

    wait_until(lambda: "goodbye" in stack.logged() and "something happened: user.delete" in stack.logged())


def test_the_refusals_of_the_docs_and_of_the_example_run(build_stack: Callable[..., Stack]) -> None:
    stack = build_stack()
    (snippet,) = re.findall(r"```python\n# myapp/refusals.py\n(.*?)```", TRANSACTIONS, re.DOTALL)
    (stack.folder / "myapp").mkdir()
    (stack.folder / "myapp" / "refusals.py").write_text(snippet)
    environ = {
        "SUREHOOK_HANDLERS": "myapp.refusals,examples.todos.transactional",
        "SUREHOOK_TRANSACTIONAL_EVENTS": "user.create",
        "TODOS_DB": str(stack.folder / "todos.sqlite3"),
    }
    stack.start_ingest(**environ)
    stack.start_worker(**environ)
    trigger = ("trigger", "user.create", "--transaction")
    wait_until(lambda: "[unavailable]" not in stack.run(*trigger, "None").stdout, "a worker lives")
    body = stack.folder / "other.json"
    body.write_bytes(a_body(an_event("user.create", user={"id": USER_ID, "email": "mallory@example.org"})))

    yes = stack.run(*trigger, "AbsoluteMajority")
    no = stack.run(*trigger, "AbsoluteMajority", "--data", str(body))
    ignored = stack.run(*trigger, "None", "--data", str(body))

    assert (yes.returncode, no.returncode, ignored.returncode) == (0, 1, 0), (yes, no, ignored)
    assert "opening an account" in stack.logged()
    assert "The operation is rolled back" in no.stdout
    assert "[rejected] Only company addresses may register" in no.stdout
    listed = stack.run("events", "list", "--state", "rejected", "--json").stdout
    event_id = json.loads(listed)["event_id"]
    assert stack.run("events", "resolve", event_id).returncode == 3
    assert stack.run("events", "replay", event_id, "--committed").returncode == 0
    wait_until(lambda: stack.run("dead-letters", "list").stdout.count(event_id) == 2, "both say no again")


def test_the_readme_names_every_setting() -> None:
    table = README.partition("## Configure")[2].partition("## Scale")[0]
    named = set(re.findall(r"`([A-Z_]+)`", table.replace(PREFIX, "")))

    assert {name.upper() for name in Settings.model_fields} <= named


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text("utf-8")):
        assert target.startswith("https://") or (page.parent / target).exists(), target


@pytest.mark.parametrize("page", ["reliability.md", "security.md", "privacy.md"])
def test_the_tables_name_tests_that_exist(page: str) -> None:
    named = re.findall(r"`((?:e2e|integration|unit)/[\w/]+\.py)`", (ROOT / "docs" / page).read_text("utf-8"))

    assert len(named) > 2
    for name in named:
        assert (ROOT / "tests" / name).exists(), name


def test_every_threat_has_a_defence_and_a_test() -> None:
    table = (ROOT / "docs" / "security.md").read_text("utf-8").partition("## Kinds of authentication")[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")][1:]

    assert len(rows) > 10
    assert all(len(row) == 3 and ".py`" in row[2] for row in rows)


def test_every_reason_of_a_refusal_is_explained() -> None:
    sources = "".join(
        (ROOT / "ingest" / "auth" / name).read_text("utf-8") for name in ("credentials.py", "signature.py")
    )
    reasons = set(re.findall(r'AuthenticationFailed\(\s*"(\w+)"', sources)) | {"signature_no_keys_yet"}
    table = (ROOT / "docs" / "security.md").read_text("utf-8").partition("## When a delivery is refused")[2]

    assert len(reasons) > 10
    assert reasons <= set(re.findall(r"`(\w+)`", table))


def test_the_operators_page_names_metrics_that_exist() -> None:
    sources = "".join(
        path.read_text("utf-8") for name in ("ingest", "workers", "shared") for path in (ROOT / name).rglob("*.py")
    )

    for name in set(
        re.findall(r"`(surehook_\w+?)(?:_total)?[`{]", (ROOT / "docs" / "operations.md").read_text("utf-8"))
    ):
        assert f'"{name}"' in sources, name
