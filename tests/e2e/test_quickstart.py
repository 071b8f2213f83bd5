"""The first steps of a new user, and the output they see."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable

import httpx
import pytest

from harness.stack import Stack, wait_until
from surehook.fusionauth.samples import SAMPLE_USER_ID
from tests.support.terminal import Terminal

Build = Callable[..., Stack]
TERMINAL_COLUMNS = 80


def test_dev_shows_one_screen_and_an_event_goes_from_a_post_to_a_handler(build_stack: Build) -> None:
    stack = build_stack()
    terminal = Terminal(stack)

    screen = terminal.wait_for("Ctrl-C stops everything")
    key = (stack.folder / ".env").read_text().strip().partition("=")[2]
    for shown in (stack.url, key, f"http://127.0.0.1:{stack.dashboard_port}", "surehook trigger user.delete"):
        assert shown in screen
    assert (stack.folder / ".env").stat().st_mode & 0o777 == 0o600

    triggered = stack.run("trigger", "user.delete")

    assert triggered.stdout.startswith('202 {"status":"accepted","eventId":"')
    line = next(line for line in terminal.wait_for("delete_todos").splitlines() if "delete_todos" in line)
    assert "user.delete" in line
    assert "done" in line
    assert line.strip().endswith(" ms")
    assert max(map(len, terminal.wait_for("delete_todos").splitlines())) <= TERMINAL_COLUMNS
    assert terminal.ctrl_c() == 0


def test_dev_is_running_only_when_a_worker_decides_transactions_too(build_stack: Build) -> None:
    stack = build_stack("""
effect("imported by", os.getpid())
@on("user.create", name="decides", transactional=True)
def decides(event): ...
""")
    terminal = Terminal(stack, SUREHOOK_HANDLERS="myhooks", SUREHOOK_TRANSACTIONAL_EVENTS="user.create")

    terminal.wait_for("Ctrl-C stops everything")

    decided = stack.run("trigger", "user.create", "--transaction", "AbsoluteMajority")
    assert decided.returncode == 0, decided.stdout
    assert len(stack.effects()) == 2, "only the processes of the two queues import the module"
    assert terminal.ctrl_c() == 0


def test_without_handlers_dev_runs_the_example_only_in_a_checkout(build_stack: Build) -> None:
    stack = build_stack()
    (stack.folder / "examples").unlink()
    del stack.environ["SUREHOOK_HANDLERS"]

    ended = stack.run("dev")

    assert ended.returncode == 2
    assert ended.stderr.startswith("surehook: SUREHOOK_HANDLERS is not set")
    assert len(ended.stderr.splitlines()) == 1
    assert not (stack.folder / ".env").exists()


def test_the_example_deletes_the_users_todos(build_stack: Build) -> None:
    stack = build_stack()
    terminal = Terminal(stack)
    terminal.wait_for("worker takes events")

    def todos() -> str:
        command = [sys.executable, "-m", "examples.todos", str(SAMPLE_USER_ID)]
        return subprocess.run(command, env=stack.environ, capture_output=True, text=True, check=True).stdout

    stack.run("trigger", "user.create.complete")
    wait_until(lambda: todos() == "- Write your first todo\n")
    stack.run("trigger", "user.delete")

    wait_until(lambda: todos() == "")
    assert terminal.ctrl_c() == 0


def test_ctrl_c_loses_nothing_and_leaves_nothing_running(build_stack: Build) -> None:
    stack = build_stack()
    first = Terminal(stack)
    first.wait_for("worker takes events")
    stack.run("trigger", "user.delete", "--count", "30")
    assert first.ctrl_c() == 0
    with pytest.raises(httpx.TransportError):
        httpx.get(stack.url)

    again = Terminal(stack)
    again.wait_for("worker takes events")

    wait_until(lambda: (first.screen() + again.screen()).count("delete_todos") == 30, "all thirty were handled once")
    assert again.ctrl_c() == 0


def test_ctrl_c_does_not_wait_for_a_slow_handler(build_stack: Build) -> None:
    stack = build_stack("""
@on("*", name="slow", timeout=600)
def slow(event, attempt):
    effect("began", attempt.number)
    time.sleep(300)
""")
    terminal = Terminal(stack, SUREHOOK_HANDLERS="myhooks")
    terminal.wait_for("worker takes events")
    stack.run("trigger", "user.delete")
    wait_until(stack.effects)

    assert terminal.ctrl_c() == 0

    again = Terminal(stack, SUREHOOK_HANDLERS="myhooks")
    wait_until(lambda: (again.screen(), stack.effects())[1] == ["began 1", "began 2"], "it runs again")
    assert again.ctrl_c() == 0


@pytest.mark.parametrize(
    ("through", "survives"),
    [pytest.param(("env", "--default-signal=HUP"), False, id="by itself"), pytest.param(("nohup",), True, id="nohup")],
)
def test_dev_ends_with_its_terminal_unless_nohup_keeps_it(
    through: tuple[str, ...], survives: bool, build_stack: Build
) -> None:
    stack = build_stack()
    terminal = Terminal(stack, through=through)
    wait_until(stack.is_ready, "its ingest answers")

    os.killpg(terminal.process.pid, signal.SIGHUP)

    if survives:
        assert stack.run("trigger", "user.delete").stdout.startswith("202")
        assert terminal.process.poll() is None
        assert terminal.ctrl_c() == 0
    else:
        wait_until(lambda: terminal.process.poll() == 0, "it stopped")


def test_a_killed_dev_leaves_nothing_that_stops_the_next(build_stack: Build) -> None:
    stack = build_stack()
    first = Terminal(stack)
    first.wait_for("worker takes events")

    first.process.kill()
    first.process.wait()
    wait_until(lambda: not stack.is_ready(), "its ingest is gone")
    again = Terminal(stack)

    again.wait_for("worker takes events")
    assert again.ctrl_c() == 0


def test_a_second_dev_in_the_same_folder_says_why_it_cannot_be(build_stack: Build) -> None:
    stack = build_stack()
    first = Terminal(stack)
    first.wait_for("worker takes events")

    second = stack.run("dev", SUREHOOK_DATA_DIR="store", SUREHOOK_HANDLERS="examples.todos.handlers")

    assert second.returncode == 2
    assert "another `surehook dev` or `surehook store` runs on store" in second.stderr
    assert first.ctrl_c() == 0


@pytest.mark.parametrize(
    ("source", "says"),
    [
        pytest.param("import nowhere_to_be_found\n", "No module named 'nowhere_to_be_found'", id="does not import"),
        pytest.param("1 / 0\n", "ZeroDivisionError", id="raises at import"),
        pytest.param("def broken(:\n", "SyntaxError", id="is no Python"),
        pytest.param("@on('user.delete')\ndef it(): ...\n", "(event) or (event, attempt)", id="wrong signature"),
        pytest.param("@on('user.delet')\ndef it(event): ...\n", "did you mean user.delete", id="unknown type"),
        pytest.param("", "no handler is registered there", id="no handler"),
    ],
)
@pytest.mark.parametrize("verb", ["worker", "dev"])
def test_an_unimportable_handler_module_is_a_readable_error_with_status_2(
    verb: str, source: str, says: str, build_stack: Build
) -> None:
    stack = build_stack(source)

    ended = stack.run(verb)

    assert ended.returncode == 2
    assert says in ended.stderr
    assert "Traceback" not in ended.stderr


def test_handlers_that_are_not_there_are_named(build_stack: Build) -> None:
    ended = build_stack().run("worker", SUREHOOK_HANDLERS="my.hooks")

    assert (ended.returncode, "there is no module my here" in ended.stderr) == (2, True)


@pytest.mark.parametrize("name", ["shared", "workers"])
def test_a_users_package_may_be_called_like_one_of_ours(name: str, build_stack: Build) -> None:
    stack = build_stack()
    (stack.folder / name).mkdir()
    (stack.folder / name / "__init__.py").touch()
    (stack.folder / name / "hooks.py").write_text(
        "from pathlib import Path\nfrom surehook import on\n\n"
        "@on('*')\ndef it(event): Path('handled').write_text(__name__)\n"
    )
    stack.start_ingest()
    stack.start_worker(SUREHOOK_HANDLERS=f"{name}.hooks")

    stack.deliver()

    handled = stack.folder / "handled"
    wait_until(lambda: handled.exists() and handled.read_text() != "", "the handler has written its name")
    assert handled.read_text() == f"{name}.hooks"


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        pytest.param(["dead-letters", "show", "no-such-id"], 3, id="not found"),
        pytest.param(["dead-letters", "replay"], 2, id="bulk without filter"),
        pytest.param(["no-such-verb"], 2, id="unknown verb"),
        pytest.param(["trigger", "user.delet"], 2, id="unknown type"),
        pytest.param(["worker", "--queue", "nobodys"], 2, id="unknown queue"),
        pytest.param(["dead-letters", "list"], 0, id="fine"),
    ],
)
def test_exit_statuses(arguments: list[str], status: int, build_stack: Build) -> None:
    stack = build_stack("@on('test')\ndef it(event): ...\n")

    assert stack.run(*arguments).returncode == status


def test_without_a_store_a_command_says_how_to_get_one(build_stack: Build) -> None:
    stack = build_stack()

    ended = stack.run("dead-letters", "list", SUREHOOK_DATA_DIR="elsewhere")

    assert ended.returncode == 1
    assert "start one with `surehook dev` or `surehook store`" in ended.stderr
