"""A path or an address that cannot be used is one sentence with its setting, and exit status 2."""

import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.stack import Stack

pytestmark = pytest.mark.chaos  # it starts a stack for each of many paths

Build = Callable[..., Stack]
# A file system on which not even root can create a file.
UNWRITABLE = "/sys"
HANDLERS = "@on('user.delete')\ndef handle(event): pass\n"


def run(stack: Stack, *arguments: str, cwd: str | None = None, **environ: str) -> tuple[int, str]:
    """Returns the exit status and the last line on standard error, without its prefix."""
    ended = subprocess.run(
        [str(Path(sys.executable).with_name("surehook")), *arguments],
        cwd=cwd or stack.folder,
        env={**stack.environ, "PYTHONPATH": str(stack.folder), **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in ended.stderr
    assert "CRITICAL" not in ended.stderr
    return ended.returncode, ended.stderr.splitlines()[-1].removeprefix("surehook: ")


def test_a_data_folder_that_cannot_be_used_is_named(build_stack: Build) -> None:
    stack = build_stack(HANDLERS)
    (stack.folder / "file").write_text("")

    for given, says in {
        "file": "file cannot be used: it is not a folder",
        "file/below": "file/below cannot be used: Not a directory",
        f"{UNWRITABLE}/surehook": f"{UNWRITABLE}/surehook cannot be used: ",
    }.items():
        status, said = run(stack, "dev", SUREHOOK_DATA_DIR=given)
        assert (status, said[: said.index(says)]) == (2, f"SUREHOOK_DATA_DIR={given}: ")


@pytest.mark.parametrize("name", ["dev.lock", "store.lock", "store.log"])
def test_a_file_of_the_store_that_cannot_be_opened_is_named(name: str, build_stack: Build) -> None:
    stack = build_stack(HANDLERS)
    (stack.folder / "other" / name).mkdir(parents=True)

    status, said = run(stack, "dev", SUREHOOK_DATA_DIR="other")

    assert status == 2
    assert said.startswith(f"SUREHOOK_DATA_DIR=other: other/{name} cannot be used: Is a directory. Choose a folder")


def test_a_current_folder_that_cannot_be_written_is_named(build_stack: Build) -> None:
    stack = build_stack(HANDLERS)
    without_key = {**stack.environ}
    del stack.environ["SUREHOOK_API_KEYS"]

    status, said = run(stack, "dev", cwd=UNWRITABLE)
    assert status == 2
    assert said.startswith(f"{UNWRITABLE}/.env: the key that FusionAuth needs cannot be written there")

    stack.environ = without_key
    status, said = run(stack, "dev", cwd=UNWRITABLE)
    assert status == 2
    assert said.startswith("SUREHOOK_DATA_DIR=data: data cannot be used: ")


def test_a_current_folder_that_is_gone_is_said(build_stack: Build) -> None:
    stack = build_stack(HANDLERS)
    script = f"mkdir gone && cd gone && rmdir ../gone && exec {Path(sys.executable).with_name('surehook')} config"

    ended = subprocess.run(["sh", "-c", script], cwd=stack.folder, env=stack.environ, capture_output=True, check=False)

    assert ended.returncode == 2
    assert ended.stderr.startswith(b"surehook: the current folder cannot be used: ")


@pytest.mark.parametrize(
    ("command", "name", "address", "says"),
    [
        ("ingest", "BIND", "192.0.2.1:8000", "Cannot assign requested address"),
        ("ingest", "BIND", "no-such-host.invalid:8000", ""),
        ("ingest", "METRICS_BIND", "192.0.2.1:8000", "Cannot assign requested address"),
        ("worker", "WORKER_METRICS_BIND", "192.0.2.1:8000", "Cannot assign requested address"),
    ],
)
def test_an_address_that_cannot_be_used_is_named(
    command: str, name: str, address: str, says: str, build_stack: Build
) -> None:
    status, said = run(build_stack(HANDLERS), command, **{f"SUREHOOK_{name}": address})

    assert status == 2
    assert said.startswith(f"SUREHOOK_{name}={address}: {says}")


def test_an_address_in_use_is_named(build_stack: Build) -> None:
    stack = build_stack(HANDLERS)
    with socket.create_server(("127.0.0.1", stack.port)):
        status, said = run(stack, "ingest")

    assert status == 2
    assert said.startswith(f"SUREHOOK_BIND=127.0.0.1:{stack.port}: Address already in use")


def test_certificates_that_cannot_be_read_are_named(build_stack: Build) -> None:
    stack = build_stack(HANDLERS)

    status, said = run(stack, "ingest", SUREHOOK_JWKS_URL="https://auth.example.com/jwks", SSL_CERT_FILE="/none/ca.pem")

    assert status == 2
    assert said.startswith("SSL_CERT_FILE=/none/ca.pem")
    assert said.endswith(" cannot be used for SUREHOOK_JWKS_URL: No such file or directory")
