"""Executes a claimed job: chooses its handler, has it run, and returns the completion."""

import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Protocol

from surehook.shared.envelope import parse_event
from surehook.shared.errors import BodyDamaged, KeyMissing, MalformedBody
from surehook.shared.event_index import email_in
from surehook.shared.event_types import matches_pattern
from surehook.shared.job_id import handler_of
from surehook.shared.models import Event, event_from
from surehook.shared.transactional_events import TransactionalTypes, can_be_transactional
from surehook.workers.claim import Claim
from surehook.workers.execution.missing_key import MissingKey
from surehook.workers.execution.order_keys import find_place
from surehook.workers.execution.run_log import run_facts, warn_of_untyped_fields
from surehook.workers.execution.runner import RunContext, Runner, RunResult, RunStatus
from surehook.workers.handlers.errors import RetryLater
from surehook.workers.handlers.ordering import OUTDATED, UNCHANGED, has_changed
from surehook.workers.handlers.registry import Handler, Registry
from surehook.workers.metrics import WorkerMetrics
from surehook.workers.queue import acks
from surehook.workers.queue.completion import Completion, completion_of, skipped
from surehook.workers.queue.index_facts import IndexFacts, email_of

log = logging.getLogger(__name__)

UNKNOWN_HANDLER_DELAY_SECONDS = 30.0


class JobContext(RunContext, Protocol):
    """The RQ worker for which a job is executed."""

    def finish_runs(self) -> None:
        """Records that no handler runs any more: what follows has no deadline."""

    def resume(self, finish: Callable[[], Completion]) -> None:
        """Has a thread call this function, when the job's `async` handler has ended."""


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
        index_facts: IndexFacts | None = None,
    ) -> None:
        self._registry = registry
        self._has_transactional_handlers = any(handler.is_transactional for handler in registry)
        self._ordered_types = registry.ordered_types
        self._types = types
        self._runner = runner
        self._metrics = metrics
        self._queue = queue
        self._missing_key = missing_key
        self._index_facts = index_facts or IndexFacts()

    def execute(self, claim: Claim, context: JobContext) -> Completion | None:
        """Executes one job: a handler's own job, or an event's first, which several handlers may want.

        None: its handler is `async` and runs; `context.resume` will get the function that returns the completion.
        """
        if claim.handler_name:
            handler = self._registry.named(claim.handler_name)
            if handler is None:
                return self._unknown_handler(claim)
            if handler.limits is not None and claim.queue != handler.queue:
                timeout = self._runner.timeout_of(handler)
                return Completion(acks.move(claim, handler.name, handler.queue, timeout))
            return self._run(handler, claim, context)
        handlers = self._handlers_for(claim)
        if not handlers:
            return Completion(acks.finish(claim, "unhandled", None, self._facts_of_unhandled(claim)))
        # An event that may have a place in a line must not run as long as the choice of its handlers is not known.
        if len(handlers) == 1 and handlers[0].queue == self._queue and not self._may_be_ordered(claim):
            return self._run(handlers[0], claim, context)
        return self._fan_out(claim, handlers, context)

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

    def _facts_of_unhandled(self, claim: Claim) -> bytes:
        """No handler has read its body; without its facts the store looks them up, and the address is added later."""
        try:
            body = self._missing_key.decrypt(claim.body, claim.key_id) if claim.key_id else claim.body
            return self._index_facts.of(claim, "", email_in(parse_event(body)))
        except (KeyMissing, MalformedBody, BodyDamaged):
            return b""

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

    def _may_be_ordered(self, claim: Claim) -> bool:
        return any(matches_pattern(each, claim.event_type) for each in self._ordered_types)

    def _fan_out(self, claim: Claim, handlers: Sequence[Handler], context: JobContext) -> Completion:
        places: dict[str, str] = {}
        if any(handler.order is not None for handler in handlers):
            try:
                places = self._places(self._read(claim)[1], handlers, context)
            except KeyMissing as exc:
                self._missing_key.report(claim, exc.key_id)
                return Completion(acks.give_back(claim))
            except (MalformedBody, BodyDamaged):
                pass  # each handler's job says so
        jobs = [
            acks.HandlerJob(each.name, each.queue, self._runner.timeout_of(each), places.get(each.name, ""))
            for each in handlers
        ]
        return Completion(acks.fan_out(claim, jobs))

    def _places(self, event: Event, handlers: Sequence[Handler], context: JobContext) -> dict[str, str]:
        """The places in lines, by handler. Where a key function fails, the handler's own job calls it again."""
        found = {
            handler.name: find_place(handler.order, event, context, context.finish_runs)
            for handler in handlers
            if handler.order is not None
        }
        return {name: place for name, place in found.items() if isinstance(place, str)}

    def _enter_line(self, handler: Handler, claim: Claim, event: Event, context: JobContext) -> Completion | None:
        """Gives a job of a handler with an order its place in a line. None: it may run now."""
        if handler.order is None or claim.place:
            return None
        place = find_place(handler.order, event, context, context.finish_runs)
        if isinstance(place, RunResult):
            return completion_of(handler, claim, place, context.finish_runs)
        if not place:
            return None
        if handler_of(claim.job_id):
            return Completion(acks.place(claim, place))
        job = acks.HandlerJob(handler.name, handler.queue, self._runner.timeout_of(handler), place)
        return Completion(acks.fan_out(claim, [job]))

    def _read(self, claim: Claim) -> tuple[Claim, Event]:
        """Decrypts and parses.

        Raises:
            KeyMissing: this worker lacks the key.
            MalformedBody, BodyDamaged: the record was changed by hand.
        """
        if claim.key_id:
            claim = claim._replace(body=self._missing_key.decrypt(claim.body, claim.key_id), key_id="")
        return claim, event_from(claim.event_id, claim.body)

    def _run(self, handler: Handler, claim: Claim, context: JobContext) -> Completion | None:
        """Decrypts, parses, runs and records."""
        if claim.is_outdated:
            return skipped(handler, claim, OUTDATED)
        try:
            claim, event = self._read(claim)
        except KeyMissing as exc:
            self._missing_key.report(claim, exc.key_id)
            return Completion(acks.give_back(claim))
        except (MalformedBody, BodyDamaged) as exc:  # the record was changed by hand
            return completion_of(
                handler, claim, RunResult(RunStatus.PERMANENT, datetime.now(UTC), 0.0, exc), context.finish_runs
            )
        if handler.changed and not has_changed(event, handler.changed):
            return skipped(handler, claim, UNCHANGED)
        waits = self._enter_line(handler, claim, event, context)
        if waits is not None:
            return waits
        if event.misfits:
            warn_of_untyped_fields(event, claim, self._metrics)
        return self._call(handler, claim, event, context)

    def _call(self, handler: Handler, claim: Claim, event: Event, context: JobContext) -> Completion | None:
        """Runs a plain handler. Starts an `async` one, which runs in the event loop."""
        if not handler.is_async:
            return self._finish(handler, claim, event, context, self._runner.run(handler, event, claim.runs, context))

        def end(result: Callable[[], RunResult]) -> None:
            context.resume(lambda: self._finish(handler, claim, event, context, result()))

        self._runner.start(handler, event, claim.runs, context, end)
        return None

    def _finish(
        self, handler: Handler, claim: Claim, event: Event, context: JobContext, result: RunResult
    ) -> Completion:
        if isinstance(result.error, RetryLater) and result.error.everyone and handler.limits is None:
            facts = run_facts(claim, handler.name, result.status.value, claim.runs)
            log.error(
                "RetryLater(everyone=True) holds back one event: the handler has no queue of its own", extra=facts
            )
        # Only a success closes the event.
        row = b""
        if result.error is None:
            # One of several handlers does not know the others.
            only = handler.name if claim.job_id == claim.event_id else None
            row = self._index_facts.of(claim, only, email_of(event))
        return completion_of(handler, claim, result, context.finish_runs, facts=row)
