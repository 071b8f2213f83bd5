"""The standard process metrics of a parent and its children. The processes are real."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from surehook.shared.process_metrics import ProcessMetrics

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="this system has no /proc")

MIB = 1024 * 1024
FEW_FILES = 256
# Holds 64 MiB and 200 of at most 256 files, and has used 0.3 s of CPU.
A_CHILD = f"""
import resource, sys, time
resource.setrlimit(resource.RLIMIT_NOFILE, ({FEW_FILES}, {FEW_FILES}))
memory = b"x" * (64 * 1024 * 1024)
files = [open("/dev/null") for _ in range(200)]
while time.process_time() < 0.3:
    pass
print("ready", flush=True)
sys.stdin.read()
"""
Child = subprocess.Popen[bytes]


@pytest.fixture
def child() -> Iterator[Child]:
    with subprocess.Popen([sys.executable, "-c", A_CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield process
        process.kill()


def read(*children: int) -> dict[str, float]:
    registry = CollectorRegistry()
    registry.register(ProcessMetrics(lambda: children))
    return {sample.name: sample.value for family in registry.collect() for sample in family.samples}


def test_a_childs_memory_and_cpu_time_are_added_and_its_cpu_time_stays(child: Child) -> None:
    alone, both = read(), read(child.pid)
    assert both["process_resident_memory_bytes"] - alone["process_resident_memory_bytes"] > 60 * MIB
    assert both["process_cpu_seconds_total"] - alone["process_cpu_seconds_total"] > 0.25
    assert both["process_start_time_seconds"] == alone["process_start_time_seconds"]

    child.communicate()

    after = read(child.pid)
    assert both["process_resident_memory_bytes"] - after["process_resident_memory_bytes"] > 60 * MIB
    assert after["process_cpu_seconds_total"] >= both["process_cpu_seconds_total"]


def test_open_files_are_those_of_the_process_nearest_its_limit(child: Child) -> None:
    assert read(child.pid)["process_max_fds"] == FEW_FILES
    assert 200 < read(child.pid)["process_open_fds"] < FEW_FILES
    assert read()["process_max_fds"] > FEW_FILES
    assert 3 <= read()["process_open_fds"] < 200


def test_a_child_that_was_not_waited_for_is_counted_once(child: Child) -> None:
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    zombie = read(child.pid)
    assert zombie["process_max_fds"] > FEW_FILES

    child.communicate()

    after = read(child.pid)
    assert zombie["process_cpu_seconds_total"] <= after["process_cpu_seconds_total"]
    assert after["process_cpu_seconds_total"] - zombie["process_cpu_seconds_total"] < 0.25
