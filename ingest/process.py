"""One of several ingest processes, started by the supervisor; it inherits the listening socket."""

import argparse
import signal
import socket
import sys

from prometheus_client import disable_created_metrics

from surehook.ingest.metrics import IngestMetrics
from surehook.ingest.server import run
from surehook.shared.child_processes import stop_with_parent
from surehook.shared.errors import Misconfigured
from surehook.shared.exit_status import CHILD_MISCONFIGURED
from surehook.shared.log import set_up_logging
from surehook.shared.settings import load_settings
from surehook.shared.visible import visible


def main() -> int:
    """Serve until SIGTERM. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="surehook.ingest.process")
    parser.add_argument("--listener", type=int, required=True, help="the inherited listening socket")
    parser.add_argument(
        "--serving", type=int, required=True, help="the inherited pipe that reports that this process serves"
    )
    arguments = parser.parse_args()
    # The supervisor handles these. SIGTERM before uvicorn handles it ends the process immediately.
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    stop_with_parent()
    disable_created_metrics()  # type: ignore[no-untyped-call] # a second series for every counter
    try:
        settings = load_settings()
        set_up_logging(settings.log_level, settings.log_format)
        run(settings, IngestMetrics(), socket.socket(fileno=arguments.listener), arguments.serving)
    except Misconfigured as exc:
        sys.stderr.write(f"{visible(str(exc))}\n")
        return CHILD_MISCONFIGURED
    return 0


if __name__ == "__main__":
    sys.exit(main())
