"""`surehook dev` shows what a handler printed and logged, and why it failed."""

import json
from collections.abc import Callable

from harness.stack import Stack, wait_until
from tests.support.terminal import Terminal

Build = Callable[..., Stack]


def test_dev_shows_why_a_handler_failed_and_what_it_printed_and_logged(build_stack: Build) -> None:
    stack = build_stack("""
import logging
@on("user.delete", name="breaks")
def breaks(event):
    print("printed", event.user.email)
    try: {}[event.user.email]
    except KeyError:
        logging.getLogger("myapp").exception("not there", extra={"order": 5})
        raise
""")
    terminal = Terminal(stack, "--unmasked", SUREHOOK_HANDLERS="myhooks")
    terminal.wait_for("Ctrl-C stops everything")

    stack.run("trigger", "user.delete")

    screen = terminal.wait_for("again in")
    assert "printed mirela.tanase@example.com" in screen
    assert "ERROR not there  order=5" in screen
    # Ours below the line of the run, theirs below the line of their own.
    wait_until(lambda: terminal.screen().count("KeyError: 'mirela.tanase@example.com'") == 2)
    assert terminal.screen().count(f'\x1b[1;36m  File "{stack.folder}/myhooks.py", line') == 2
    store = {"SUREHOOK_DATA_DIR": str(stack.folder / "store")}
    event_id = json.loads(stack.run("events", "list", "--json", **store).stdout)["event_id"]
    assert "KeyError: '***'" in stack.run("events", "show", event_id, **store).stdout
    assert terminal.ctrl_c() == 0


def test_values_of_events_are_for_terminals_only(build_stack: Build) -> None:
    ended = build_stack().run("dev", "--unmasked")

    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert "--unmasked is for a terminal" in ended.stderr


def test_changed_code_runs_when_what_runs_has_finished(build_stack: Build) -> None:
    handler = """
@on("user.delete", name="it")
def it(event):
    effect("started")
    time.sleep({seconds})
    effect("{word}")
"""
    stack = build_stack(handler.format(seconds=1, word="old"))
    terminal = Terminal(stack, "--reload", SUREHOOK_HANDLERS="myhooks", SUREHOOK_GRACE="0")
    terminal.wait_for("Ctrl-C stops everything")
    stack.run("trigger", "user.delete")
    wait_until(lambda: stack.effects() == ["started"], "the old code runs")

    stack.write_handlers("def broken(:")
    terminal.wait_for("myhooks.py changed")
    terminal.wait_for("correct the above")
    assert stack.effects() == ["started", "old"]
    stack.write_handlers(handler.format(seconds=0, word="new"))
    stack.run("trigger", "user.delete")

    wait_until(lambda: stack.effects() == ["started", "old", "started", "new"], "the new code runs")
    store = {"SUREHOOK_DATA_DIR": str(stack.folder / "store")}

    def runs() -> int:
        listed = stack.run("handlers", "list", "--json", **store).stdout
        return int(json.loads(listed)["runs"])

    wait_until(lambda: runs() == 2, "both runs are counted")
    assert terminal.ctrl_c() == 0


def test_a_change_while_the_worker_starts_is_not_missed(build_stack: Build) -> None:
    handler = """
effect("imports {word}")
# It is still imported when its file changes.
while "{word}" == "old" and not os.path.exists("changed"): time.sleep(0.02)

@on("user.delete", name="it")
def it(event): ...
"""
    stack = build_stack(handler.format(word="old"))
    terminal = Terminal(stack, "--reload", SUREHOOK_HANDLERS="myhooks")
    wait_until(lambda: stack.effects() == ["imports old"], "the worker starts")

    stack.write_handlers(handler.format(word="new"))
    (stack.folder / "changed").touch()

    terminal.wait_for("myhooks.py changed")
    assert terminal.ctrl_c() == 0
