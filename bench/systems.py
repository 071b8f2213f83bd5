"""The queues that are compared: how each is filled, and how its workers are started at their best setting."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.machine import ROOT

PEERS = ROOT / ".venv-bench" / "bin" / "python"
OURS = Path(sys.executable)


@dataclass(frozen=True, slots=True)
class System:
    """`worker` is a command line for one process; `{threads}` stands for how many handlers at once."""

    name: str
    module: str
    worker: Sequence[str]
    python: Path = PEERS
    environ: Mapping[str, str] | None = None

    def fill(self, environ: Mapping[str, str], jobs: int, seconds: float) -> None:
        self._call(environ, "fill", str(jobs), str(seconds))

    def latencies_ms(self, environ: Mapping[str, str]) -> list[float]:
        return [float(line) for line in self._call(environ, "latency").split()]

    def start(self, environ: Mapping[str, str], threads: int) -> "subprocess.Popen[bytes]":
        words = [word.format(threads=threads, **environ) for word in self.worker]
        return subprocess.Popen(
            [str(self.python), *words],
            cwd=ROOT,
            env=self._environ(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _call(self, environ: Mapping[str, str], *words: str) -> str:
        command = [str(self.python), "-m", self.module, *words]
        done = subprocess.run(
            command, cwd=ROOT, env=self._environ(environ), stdout=subprocess.PIPE, text=True, check=True
        )
        return done.stdout

    def _environ(self, environ: Mapping[str, str]) -> dict[str, str]:
        known = {name: value for name, value in os.environ.items() if not name.startswith("SUREHOOK_")}
        return {**known, "PYTHONPATH": str(ROOT), **environ, **(self.environ or {})}


# No system here logs its runs: Dramatiq never does, and the others are told not to.
QUIET = {"SUREHOOK_LOG_LEVEL": "WARNING"}
SUREHOOK = System(
    "surehook worker",
    "bench.with_surehook",
    ("-m", "surehook", "worker", "--threads", "{threads}"),
    OURS,
    QUIET,
)
SUREHOOK_ASYNC = System("surehook worker, async", SUREHOOK.module, SUREHOOK.worker, OURS, {**QUIET, "ASYNC": "1"})
# With the log level that users start with.
SUREHOOK_LOGGING = System("surehook worker, logging", SUREHOOK.module, SUREHOOK.worker, OURS)
RQ_WORKER = ("-m", "rq.cli", "worker", "--quiet", "--url", "unix://{STORE}", "stock")
SIMPLE = System("rq SimpleWorker", "bench.with_rq", (*RQ_WORKER, "--worker-class", "rq.worker.SimpleWorker"), OURS)
STOCK = System("rq worker", "bench.with_rq", RQ_WORKER, OURS)
DRAMATIQ = System(
    "Dramatiq", "bench.with_dramatiq", ("-m", "dramatiq", "-p", "1", "-t", "{threads}", "bench.with_dramatiq")
)
CELERY = System(
    "Celery, threads",
    "bench.with_celery",
    ("-m", "celery", "-A", "bench.with_celery", "worker", "-P", "threads", "-c", "{threads}", "-l", "ERROR",
     "--without-gossip", "--without-mingle", "--without-heartbeat"),
)  # fmt: skip
ARQ = System(
    "arq",
    "bench.with_arq",
    ("-m", "arq", "--custom-log-dict", "bench.with_arq.LOGGING", "bench.with_arq.WorkerSettings"),
)
HUEY = System(
    "Huey, threads", "bench.with_huey",
    ("-m", "huey.bin.huey_consumer", "bench.with_huey.huey", "-k", "thread", "-w", "{threads}", "-n", "-q"),
)  # fmt: skip
ALL = (SUREHOOK, SUREHOOK_LOGGING, SUREHOOK_ASYNC, SIMPLE, STOCK, DRAMATIQ, CELERY, ARQ, HUEY)
