"""The background tasks of an ingest process: if one fails, the process ends, so that the supervisor starts another.

Otherwise it would keep listening, healthy by `/healthz`, and refuse every event.
"""

import asyncio
import logging
import os
import signal
from collections.abc import Coroutine
from typing import Any

from surehook.shared.exit_status import FAILED

log = logging.getLogger(__name__)


class BackgroundTasks:
    """The tasks of one process. Each must run until `stop`, unless it is started with `may_end`."""

    def __init__(self) -> None:
        self._has_broken = False
        self._is_stopping = False

    def start(self, coroutine: Coroutine[Any, Any, None], *, may_end: bool = False) -> "asyncio.Task[None]":
        task = asyncio.create_task(coroutine)
        task.add_done_callback(lambda task: self._on_done(task, may_end=may_end))
        return task

    def stop(self) -> None:
        """Let all tasks end. Does not return if one had failed before."""
        self._is_stopping = True
        if self._has_broken:
            logging.shutdown()
            os._exit(FAILED)  # every request has been answered; uvicorn has no exit status for this

    def _on_done(self, task: "asyncio.Task[None]", *, may_end: bool) -> None:
        error = None if task.cancelled() else task.exception()
        if self._is_stopping or self._has_broken or (may_end and error is None):
            return
        self._has_broken = True
        # The log has the traceback without the message: an error's text may quote an event.
        log.critical("background task failed", exc_info=error)
        os.kill(os.getpid(), signal.SIGTERM)  # uvicorn answers the requests in progress, then calls `stop`
