"""`surehook trigger` sends events to the endpoint."""

import subprocess
from collections.abc import Callable
from uuid import uuid4

from harness.stack import Stack
from tests.support.terminal import SUREHOOK

Build = Callable[..., Stack]


def test_trigger_sends_another_body_from_a_file_or_a_pipe(build_stack: Build) -> None:
    stack = build_stack()
    stack.start_ingest()
    (stack.folder / "body.json").write_text('{"event": {"type": "test"}}')

    from_file = stack.run("trigger", "test", "--data", "body.json")
    with (stack.folder / "body.json").open() as body:
        command = [SUREHOOK, "trigger", "--data", "-"]
        piped = subprocess.run(
            command, stdin=body, cwd=stack.folder, env=stack.environ, capture_output=True, text=True, check=False
        )

    assert from_file.stdout.startswith("202 ")
    assert piped.stdout.startswith("200 ")
    assert '"duplicate"' in piped.stdout


def test_each_copy_of_a_body_has_an_id_of_its_own(build_stack: Build) -> None:
    stack = build_stack()
    stack.start_ingest()
    (stack.folder / "body.json").write_text(f'{{"event": {{"type": "test", "id": "{uuid4()}"}}}}')

    assert stack.run("trigger", "--data", "body.json", "--count", "3").stdout == "202: 3\n"


def test_trigger_reaches_the_endpoint_past_a_proxy_of_the_environment(build_stack: Build) -> None:
    stack = build_stack()
    stack.environ |= {"HTTP_PROXY": "http://127.0.0.1:9", "ALL_PROXY": "http://127.0.0.1:9"}
    stack.start_ingest()

    assert stack.run("trigger", "user.delete").stdout.startswith("202 ")


def test_trigger_says_that_no_server_listens(build_stack: Build) -> None:
    ended = build_stack().run("trigger", "user.delete")

    assert ended.returncode == 1
    assert "is `surehook dev` running?" in ended.stderr


def test_many_are_sent_and_counted(build_stack: Build) -> None:
    stack = build_stack()
    stack.start_ingest()

    assert stack.run("trigger", "user.update", "--count", "25").stdout == "202: 25\n"
    assert stack.open_events() == 25
