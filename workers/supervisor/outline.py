"""A short-lived process that imports the handler modules for a supervisor, which has imported older ones."""

import argparse
import sys
from pathlib import Path

from surehook.shared.child_processes import exit_now, signals_restored, stop_with_parent
from surehook.shared.errors import Misconfigured
from surehook.shared.exit_status import CHILD_MISCONFIGURED
from surehook.shared.keys import TRANSACTIONAL_QUEUE
from surehook.shared.log import set_up_logging, withstand_configuration
from surehook.shared.settings import load_settings
from surehook.shared.transactional_events import transactional_types
from surehook.shared.visible import visible
from surehook.workers.handlers.loader import load_handlers, require_agreement
from surehook.workers.rights import require_rights
from surehook.workers.supervisor.plan import queues_of, write_outline


def main() -> int:
    """Checks all that a start checks. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="surehook.workers.supervisor.outline")
    parser.add_argument("--into", type=Path, required=True)
    parser.add_argument("--queue")
    arguments = parser.parse_args()
    stop_with_parent()
    try:
        settings = load_settings()
        set_up_logging(settings.log_level, settings.log_format, runs_handlers=True)
        with signals_restored():
            registry = load_handlers(settings.handlers, Path.cwd())
        withstand_configuration()
        queues = queues_of(registry, arguments.queue)
        if TRANSACTIONAL_QUEUE in queues:
            require_agreement(registry, transactional_types(settings.transactional_events))
        require_rights(settings)
    except Misconfigured as exc:
        sys.stderr.write(f"{visible(str(exc))}\n")
        return CHILD_MISCONFIGURED
    write_outline(arguments.into, registry, queues)
    return 0


if __name__ == "__main__":
    exit_now(main())  # the modules may have started threads
