"""A setting that is named is in force or is a mistake: from every source, at start and at reload."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from harness.events import a_body, an_event
from harness.signing import SECRET, signer
from harness.stack import API_KEY, Stack, wait_until

Build = Callable[..., Stack]


def test_files_named_in_dotenv_are_in_force(build_stack: Build) -> None:
    stack = build_stack()
    (stack.folder / "secrets").write_text(f"{SECRET}\n")
    (stack.folder / "keys").write_text(f"{Fernet.generate_key().decode()}\n")
    (stack.folder / ".env").write_text("SUREHOOK_SIGNING_SECRETS_FILE=secrets\nSUREHOOK_ENCRYPTION_KEYS_FILE=keys\n")
    stack.start_ingest()
    body = a_body()

    assert stack.deliver(body=body).status_code == 401
    stack.client.headers.update(signer("HS256").headers(body))
    assert stack.deliver(body=body).status_code == 202
    with stack.redis() as store:
        (key,) = store.scan_iter("surehook:event:*")
        assert (store.hget(key, "body") or b"").startswith(b"gAAAA")


@pytest.mark.parametrize("content", ["", "\n \n", "\u2028", None], ids=["emptied", "blank", "invisible", "removed"])
def test_a_reload_in_the_middle_of_a_rotation_leaves_the_old_process(content: str | None, build_stack: Build) -> None:
    stack = build_stack()
    secrets = stack.folder / "secrets"
    secrets.write_text(f"{SECRET}\n")
    parent = stack.surehook("ingest", "--processes", "1", SUREHOOK_SIGNING_SECRETS_FILE=str(secrets))
    wait_until(stack.is_ready, "ingest is ready")
    assert stack.deliver().status_code == 401

    if content is None:
        secrets.unlink()
    else:
        secrets.write_text(content, "utf-8")
    os.kill(parent.pid, signal.SIGHUP)
    wait_until(lambda: "ingest process replacement failed" in stack.logged(), "the reload fails")

    assert f"SUREHOOK_SIGNING_SECRETS_FILE={secrets}" in stack.logged()
    assert "the configuration has a mistake" in stack.logged()
    assert stack.deliver().status_code == 401
    body = a_body()
    stack.client.headers.update(signer("HS256").headers(body))
    assert stack.deliver(body=body).status_code == 202


def test_a_worker_survives_a_secrets_file_that_is_being_rewritten(build_stack: Build) -> None:
    stack = build_stack("@on('user.delete')\ndef handle(event): effect('done')\n")
    keys, key = stack.folder / "keys", Fernet.generate_key().decode()
    keys.write_text(f"{key}\n")
    stack.environ["SUREHOOK_ENCRYPTION_KEYS_FILE"] = str(keys)
    worker = stack.start_worker()
    wait_until(lambda: "worker takes events" in stack.logged(), "the worker is ready")

    keys.write_text("")
    for pid in stack.worker_pids():
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: f"SUREHOOK_ENCRYPTION_KEYS_FILE={keys} is empty" in stack.logged(), "the new process says why")
    keys.write_text(f"{key}\n")

    stack.start_ingest()
    assert stack.deliver().status_code == 202
    wait_until(stack.effects, "the event is handled")
    assert worker.poll() is None


def test_a_worker_process_reads_a_file_that_a_shell_gives_as_a_descriptor(build_stack: Build) -> None:
    stack = build_stack("@on('user.delete')\ndef handle(event): effect('done')\n")
    key = Fernet.generate_key().decode()
    command = f"exec {Path(sys.executable).with_name('surehook')} worker"
    given = {**stack.environ, "KEY": key, "COMMAND": command}
    script = 'SUREHOOK_ENCRYPTION_KEYS_FILE=<(echo "$KEY") eval "$COMMAND"'
    stack.processes.append(
        subprocess.Popen(["bash", "-c", script], cwd=stack.folder, env=given, stderr=stack.log, start_new_session=True)
    )
    stack.start_ingest(SUREHOOK_ENCRYPTION_KEYS=key)
    assert stack.deliver().status_code == 202

    wait_until(stack.effects, "the event is handled")


@pytest.mark.parametrize("name", ["SUREHOOK_SIGNING_SECRETS", "SUREHOOK_BASIC_AUTH", "SUREHOOK_JWKS_URL",
                                  "SUREHOOK_SIGNING_SECRETS_FILE", "SUREHOOK_ENCRYPTION_KEYS"])  # fmt: skip
def test_an_empty_variable_beside_a_key_is_a_mistake(name: str, build_stack: Build) -> None:
    ended = build_stack().run("ingest", **{name: ""})

    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == f"surehook: {name} is empty in the environment: give it a value, or remove it\n"


def test_a_misspelt_name_in_dotenv_stops_every_command(build_stack: Build) -> None:
    stack = build_stack()
    (stack.folder / ".env").write_text(f"DATABASE_URL=x\nSUREHOOK_HANDLER={API_KEY}\n")
    sentence = "surehook: SUREHOOK_HANDLER, set in .env, is no setting: did you mean SUREHOOK_HANDLERS?\n"

    for command in (["ingest"], ["worker"], ["dev"], ["dashboard"], ["ledger"], ["config"], ["config", "--json"]):
        ended = stack.run(*command)
        assert (ended.returncode, ended.stderr) == (2, sentence), command
        assert API_KEY not in ended.stdout
    assert json.loads(ended.stdout)["SUREHOOK_HANDLER"] == {"value": None, "from": ".env, no setting"}
    assert stack.run("config").stdout.splitlines()[-1] == "SUREHOOK_HANDLER=-\t.env, no setting"


def test_ingest_runs_without_standard_streams(build_stack: Build) -> None:
    stack = build_stack()
    command = f"exec {Path(sys.executable).with_name('surehook')} ingest <&- >&- 2>&-"

    process = subprocess.Popen(["sh", "-c", command], cwd=stack.folder, env=stack.environ, start_new_session=True)
    stack.processes.append(process)

    wait_until(stack.is_ready, "ingest is ready")
    assert stack.deliver(an_event()).status_code == 202
