"""The work a process lives by: when a part of it breaks, the process ends and says so, for only another can do it.

It would go on listening otherwise, alive by `/healthz`, and refuse every event until somebody looks.
"""

import asyncio
import logging
import os
import signal
from collections.abc import Coroutine
from typing import Any

log = logging.getLogger(__name__)

EXIT_BROKEN = 1


class BackgroundTasks:
    """One per process: `start` what has to go on until `stop`."""

    def __init__(self) -> None:
        self._has_broken = False
        self._is_stopping = False

    def start(self, coroutine: Coroutine[Any, Any, None], *, may_end: bool = False) -> "asyncio.Task[None]":
        task = asyncio.create_task(coroutine)
        task.add_done_callback(lambda task: self._on_done(task, may_end=may_end))
        return task

    def stop(self) -> None:
        """From here on all may end. Does not return if something had ended before."""
        self._is_stopping = True
        if self._has_broken:
            logging.shutdown()
            os._exit(EXIT_BROKEN)  # nothing is under way any more, and uvicorn has no status for this

    def _on_done(self, task: "asyncio.Task[None]", *, may_end: bool) -> None:
        error = None if task.cancelled() else task.exception()
        if self._is_stopping or self._has_broken or (may_end and error is None):
            return
        self._has_broken = True
        # The log says where, without the words: an error's text may quote an event.
        log.critical("ingest process broke", exc_info=error)
        os.kill(os.getpid(), signal.SIGTERM)  # so that uvicorn answers what is under way, and comes to `stop`
