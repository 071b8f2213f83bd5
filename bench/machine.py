"""The machine and the private store on it: what they are, a clean slate for a round, and processes beside them."""

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

from tests.support.house import House, wait_until

ROOT = Path(__file__).parents[1]
PACKAGES = ("starlette", "uvicorn", "uvloop", "httptools", "redis", "hiredis", "rq")
FSYNC_SECONDS = 0.5
FSYNC_BYTES = b"x" * 2048


def facts(house: House) -> list[str]:
    """What the figures depend on, a line each."""
    with house.redis() as store:
        server = store.info("server").get("valkey_version", "unknown")
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return [
        f"machine: {platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        f"disk: {fsyncs_per_second():,.0f} fsyncs/s of {len(FSYNC_BYTES)} bytes each, where the store's files are",
        f"software: Python {platform.python_version()}, Valkey {server} (appendfsync always), {packages}",
        "Load, servers and store share these cores: only the ratios mean anything on a shared machine.",
    ]


def fsyncs_per_second() -> float:
    """Of one writer, in the folder for temporary files (TMPDIR), where the store is as well."""
    with tempfile.TemporaryFile(buffering=0) as file:
        began = time.perf_counter()
        count = 0
        while time.perf_counter() - began < FSYNC_SECONDS:
            file.write(FSYNC_BYTES)
            os.fsync(file.fileno())
            count += 1
        return count / (time.perf_counter() - began)


def empty(store: redis.Redis) -> None:
    """Drop all keys and the file behind them, so that no round pays for an earlier one."""
    store.flushall()
    store.bgrewriteaof()
    wait_until(lambda: not store.info("persistence")["aof_rewrite_in_progress"], "the append-only file is rewritten")


def start_python(house: House, folder: Path, *arguments: str) -> "subprocess.Popen[bytes]":
    """Run Python in a folder; its output goes to the house's log, and it stops with the house."""
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=folder,
        env=house.environ,
        stdin=subprocess.DEVNULL,
        stdout=house.log,
        stderr=house.log,
        start_new_session=True,
    )
    house.processes.append(process)
    return process


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
