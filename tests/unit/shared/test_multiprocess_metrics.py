"""The counts of dead processes are kept, their files are not. Each process is real, as files are named by pid."""

import subprocess
import sys
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest

from surehook.shared.multiprocess_metrics import MetricFiles

A_PROCESS = """
import os
import sys
from prometheus_client import Counter, Gauge, Histogram, Summary
Counter("runs", "Runs", ["handler"]).labels("it").inc(2)
Histogram("seconds", "Seconds", buckets=(1, 5)).observe(3)
Gauge("running", "Running", multiprocess_mode="livesum").set(1)
Summary("bytes", "Bytes").observe(5)
for mode in ("sum", "max", "min", "mostrecent"):
    Gauge(f"user_{mode}", "A handler's own", multiprocess_mode=mode).set(float(sys.argv[1]))
Gauge("user_all", "A handler's own").set(1)
print(os.getpid())
"""


def count(folder: Path, value: float = 1) -> int:
    ran = subprocess.run(
        [sys.executable, "-c", A_PROCESS, str(value)],
        env={"PROMETHEUS_MULTIPROC_DIR": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    return int(ran.stdout)


def series(files: MetricFiles) -> list[str]:
    registry = CollectorRegistry()
    registry.register(files)
    return sorted(line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#"))


def test_sums_stay_and_files_go(tmp_path: Path) -> None:
    files = MetricFiles(tmp_path)
    pids = [count(tmp_path) for _ in range(3)]
    before = series(files)
    assert 'runs_total{handler="it"} 6.0' in before

    for pid in pids:
        files.forget(pid)

    kinds = ("counter", "gauge_max", "gauge_min", "gauge_mostrecent", "gauge_sum", "histogram", "summary")
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{kind}_dead.db" for kind in kinds]
    assert [line for line in before if not line.startswith(("running", "user_all"))] == series(files)
    count(tmp_path)
    assert 'runs_total{handler="it"} 8.0' in series(files)
    assert 'seconds_bucket{le="5.0"} 4.0' in series(files)


def test_forgetting_twice_counts_once(tmp_path: Path) -> None:
    files = MetricFiles(tmp_path)
    pid = count(tmp_path)

    files.forget(pid)
    files.forget(pid)

    assert 'runs_total{handler="it"} 2.0' in series(files)


def test_a_file_that_is_empty_or_gone_costs_no_scrape(tmp_path: Path) -> None:
    files = MetricFiles(tmp_path)
    count(tmp_path)
    (tmp_path / "counter_1.db").touch()  # a process has just made it
    (tmp_path / "histogram_2.db").write_bytes(b"\x40\x00\x00\x00")  # and was killed before it had a size
    (tmp_path / "summary_3.db").symlink_to("gone")  # removed between listing and reading

    assert 'runs_total{handler="it"} 2.0' in series(files)

    for pid in (1, 2, 3):
        files.forget(pid)
    assert 'runs_total{handler="it"} 2.0' in series(files)
    assert not list(tmp_path.glob("*_[12].db"))


def test_gauges_of_dead_processes_are_combined_by_their_mode(tmp_path: Path) -> None:
    files = MetricFiles(tmp_path)
    for value in (3, -2, 2):
        files.forget(count(tmp_path, value))

    shown = series(files)

    for line in ("user_sum 3.0", "user_max 3.0", "user_min -2.0", "user_mostrecent 2.0"):
        assert line in shown
