"""The machine and the private store: their description, an empty store for each round, and extra processes."""

import os
import platform
import socket
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import redis

from harness.append_only_file import rewrite_append_only_file
from harness.stack import Stack

ROOT = Path(__file__).parents[1]
PACKAGES = ("starlette", "uvicorn", "uvloop", "httptools", "redis", "hiredis", "rq")
FSYNC_SECONDS = 0.5
OTHERS_SECONDS = 2.0
FSYNC_BYTES = b"x" * 2048


def facts(stack: Stack) -> list[str]:
    """Returns the facts that the figures depend on, one a line."""
    with stack.redis() as store:
        server = store.info("server").get("valkey_version", "unknown")
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return [
        f"machine: {platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        f"disk: {fsyncs_per_second():,.0f} fsyncs/s of {len(FSYNC_BYTES)} bytes each, where the store's files are",
        f"software: Python {platform.python_version()}, Valkey {server} (appendfsync always), {packages}",
        f"others: kept {others_share():.0%} of these cores busy just before",
        "Load, servers and store share these cores: only the ratios mean anything on a shared machine.",
    ]


def others_share() -> float:
    """Returns the share of the cores that other processes use; a large share distorts the figures."""
    before = _core_seconds()
    time.sleep(OTHERS_SECONDS)
    busy, whole = (after - earlier for after, earlier in zip(_core_seconds(), before, strict=True))
    return busy / whole


def _core_seconds() -> tuple[float, float]:
    """Returns busy and total seconds of all cores since boot; stolen time counts as busy."""
    counts = [int(word) for word in Path("/proc/stat").read_text().partition("\n")[0].split()[1:9]]
    return sum(counts) - counts[3] - counts[4], sum(counts)


def fsyncs_per_second() -> float:
    """Measures one writer in the folder for temporary files (TMPDIR), where the store is as well."""
    with tempfile.TemporaryFile(buffering=0) as file:
        began = time.perf_counter()
        count = 0
        while time.perf_counter() - began < FSYNC_SECONDS:
            file.write(FSYNC_BYTES)
            os.fsync(file.fileno())
            count += 1
        return count / (time.perf_counter() - began)


def empty(store: redis.Redis) -> None:
    """Drops all keys and the file behind them, so that no round pays for an earlier one."""
    store.flushall()
    rewrite_append_only_file(store)


def start_python(stack: Stack, folder: Path, *arguments: str) -> "subprocess.Popen[bytes]":
    """Runs Python in a folder; its output goes to the stack's log, and it stops with the stack."""
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=folder,
        env=stack.environ,
        stdin=subprocess.DEVNULL,
        stdout=stack.log,
        stderr=stack.log,
        start_new_session=True,
    )
    stack.processes.append(process)
    return process


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
