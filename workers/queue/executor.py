"""Executes a claimed job: chooses its handler, has it run, and returns the completion."""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Protocol

from surehook.shared.errors import BodyDamaged, KeyMissing, MalformedBody
from surehook.shared.models import event_from
from surehook.shared.transactional_events import TransactionalTypes, can_be_transactional
from surehook.workers.claim import Claim
from surehook.workers.execution.missing_key import MissingKey
from surehook.workers.execution.run_log import run_facts, warn_of_untyped_fields
from surehook.workers.execution.runner import RunContext, Runner, RunResult, RunStatus
from surehook.workers.handlers.registry import Handler, Registry
from surehook.workers.metrics import WorkerMetrics
from surehook.workers.queue import acks
from surehook.workers.queue.completion import Completion, completion_of

log = logging.getLogger(__name__)

UNKNOWN_HANDLER_DELAY_SECONDS = 30.0


class JobContext(RunContext, Protocol):
    """The thread that executes a job."""

    def finish_runs(self) -> None:
        """Records that no handler runs any more: what follows has no deadline."""


class JobExecutor:
    """Turns a claim into a completion. Never talks to the store."""

    def __init__(
        self,
        registry: Registry,
        runner: Runner,
        metrics: WorkerMetrics,
        *,
        queue: str,
        missing_key: MissingKey,
        types: TransactionalTypes,
    ) -> None:
        self._registry = registry
        self._has_transactional_handlers = any(handler.is_transactional for handler in registry)
        self._types = types
        self._runner = runner
        self._metrics = metrics
        self._queue = queue
        self._missing_key = missing_key

    def execute(self, claim: Claim, context: JobContext) -> Completion:
        """Executes one job: a handler's own job, or an event's first, which several handlers may want."""
        if claim.handler_name:
            handler = self._registry.named(claim.handler_name)
            return self._unknown_handler(claim) if handler is None else self._run(handler, claim, context)
        handlers = self._handlers_for(claim)
        if not handlers:
            return Completion(acks.finish(claim, "unhandled", None))
        if len(handlers) == 1 and handlers[0].queue == self._queue:
            return self._run(handlers[0], claim, context)
        return self._fan_out(claim, handlers)

    def _unknown_handler(self, claim: Claim) -> Completion:
        facts = {"job_id": claim.job_id, "handler": claim.handler_name}
        log.error("handler not registered here, job given back", extra=facts)
        return Completion(acks.give_back(claim, delay_seconds=UNKNOWN_HANDLER_DELAY_SECONDS))

    def _handlers_for(self, claim: Claim) -> list[Handler]:
        facts = (claim.event_type, claim.tenant_id, claim.application_ids)
        handlers = self._registry.for_event(*facts, committed=claim.committed)
        if self._has_transactional_handlers and not claim.committed and not claim.was_transactional:
            self._report_skipped(claim)
        return handlers

    def _report_skipped(self, claim: Claim) -> None:
        """Reports transactional handlers of an event whose sender did not wait for them: they do not run."""
        if not can_be_transactional(claim.event_type):
            return
        if self._types.entries and not self._types.include(claim.event_type, claim.tenant_id):
            return  # intended: listed for other tenants, or for other types of a pattern
        for handler in self._registry.transactional_for(claim.event_type, claim.tenant_id, claim.application_ids):
            self._metrics.count_skipped(handler.name, claim.event_type)
            log.error(
                "transactional handler skipped, the event came as an ordinary one: set "
                "SUREHOOK_TRANSACTIONAL_EVENTS to the same for ingest and workers",
                extra=run_facts(claim, handler.name, "skipped", claim.runs),
            )

    def _fan_out(self, claim: Claim, handlers: Sequence[Handler]) -> Completion:
        parts = [(each.name, each.queue, self._runner.timeout_of(each)) for each in handlers]
        return Completion(acks.fan_out(claim, parts))

    def _run(self, handler: Handler, claim: Claim, context: JobContext) -> Completion:
        """Decrypts, parses, runs and records."""
        try:
            if claim.key_id:
                claim = claim._replace(body=self._missing_key.decrypt(claim.body, claim.key_id), key_id="")
            event = event_from(claim.event_id, claim.body)
        except KeyMissing as exc:
            self._missing_key.report(claim, exc.key_id)
            return Completion(acks.give_back(claim))
        except (MalformedBody, BodyDamaged) as exc:  # the record was changed by hand
            return completion_of(
                handler, claim, RunResult(RunStatus.PERMANENT, datetime.now(UTC), 0.0, exc), context.finish_runs
            )
        if event.misfits:
            warn_of_untyped_fields(event, claim, self._metrics)
        return completion_of(handler, claim, self._runner.run(handler, event, claim.runs, context), context.finish_runs)
