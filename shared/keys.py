"""Every key in the store is named here, ours and RQ's, for Python and for the scripts alike.

All start with `KEY_PREFIX`, so that several installations, and other applications' RQ jobs, can share a database. Under
the default prefix alone RQ's keys are where RQ looks for them (`rq:`), so that its tools need no setting.
"""

from dataclasses import dataclass

from surehook.shared.group_keys import GroupKeys
from surehook.shared.operator_keys import OperatorKeys
from surehook.shared.retention_keys import RetentionKeys
from surehook.shared.rq_keys import DEFAULT_PREFIX, RQ_PREFIX, RQKeys

__all__ = ["DEFAULT_PREFIX", "EVENTS_QUEUE", "RQ_PREFIX", "TRANSACTIONAL_QUEUE", "Keys"]

EVENTS_QUEUE = "events"
TRANSACTIONAL_QUEUE = "transactional"


@dataclass(frozen=True, slots=True)
class Keys(GroupKeys, OperatorKeys, RetentionKeys, RQKeys):
    """The names of all keys under one prefix."""

    prefix: str = DEFAULT_PREFIX

    @property
    def store_format(self) -> str:
        """Number: the format of everything below; see `store_format.py`."""
        return f"{self.prefix}:format"

    @property
    def open(self) -> str:
        """Sorted set: every event that is not closed, scored by its number in the order of acceptance."""
        return f"{self.prefix}:open"

    @property
    def ledger(self) -> str:
        """Hash: how many events were accepted, done, discarded, erased."""
        return f"{self.prefix}:ledger"

    @property
    def barrier(self) -> str:
        """String: written after each batch that waits for replicas, so that WAITAOF has a write to wait for."""
        return f"{self.prefix}:barrier"

    @property
    def sweep_lock(self) -> str:
        """String: held by the process that is sweeping."""
        return f"{self.prefix}:sweeping"

    @property
    def sweep_mark(self) -> str:
        """String: the counts' drift when the last sweep found every job; see `workers/maintenance/sweeper.py`."""
        return f"{self.prefix}:sweep-mark"

    @property
    def extra_jobs(self) -> str:
        """Number: jobs beyond one for each open event. An event with several handlers has a job for each."""
        return f"{self.prefix}:extra-jobs"

    @property
    def queues(self) -> str:
        """Set: the queues that jobs of ours are or were on. `rq:queues` may name those of others too."""
        return f"{self.prefix}:queues"

    @property
    def paused(self) -> str:
        """Set: the queues an operator has paused."""
        return f"{self.prefix}:paused"

    def line(self, handler: str, key_hash: str) -> str:
        """Sorted set: the jobs of a handler and key that are not over, in their order; see docs/ordering.md."""
        return f"{self.prefix}:line:{handler}:{key_hash}"

    @property
    def unrouted(self) -> str:
        """Sorted set: claimed events whose handlers have not been chosen, if one may have an order, by number."""
        return f"{self.prefix}:unrouted"

    @property
    def waiting_lines(self) -> str:
        """Sorted set: lines that wait for unrouted events, scored by the number of their next job."""
        return f"{self.prefix}:waiting-lines"

    def latest(self, handler: str, subject_hash: str) -> str:
        """String: the instant of the newest change of a subject that a handler with `latest_only` has applied."""
        return f"{self.prefix}:latest:{handler}:{subject_hash}"

    def limits(self, queue: str) -> str:
        """Hash: an operator's limits of a handler's own queue, and what they and its breaker remember."""
        return f"{self.prefix}:limits:{queue}"

    def recent_failures(self, queue: str) -> str:
        """List: failures that its breaker, should it open, takes back: when, kind, job."""
        return f"{self.prefix}:recent-failures:{queue}"

    def event(self, event_id: str) -> str:
        """Hash: the event record."""
        return f"{self.prefix}:event:{event_id}"

    def attempts(self, event_id: str) -> str:
        """List: the event's last 50 attempts, newest last, one JSON object each."""
        return f"{self.prefix}:attempts:{event_id}"

    def leases(self, queue: str) -> str:
        """Sorted set: `{job}:{token}` of every current claim, scored by its expiry (ms, store's clock)."""
        return f"{self.prefix}:leases:{queue}"

    def process_claims(self, token_prefix: str) -> str:
        """Set: `{job}:{token}` of every claim of a worker process, started or not, by the prefix of its tokens."""
        return f"{self.prefix}:process-claims:{token_prefix}"

    def exchange(self, process: str) -> str:
        """Hash: the number of a worker process's last exchange, and whether each of its acks was accepted."""
        return f"{self.prefix}:exchange:{process}"

    def transaction(self, event_id: str) -> str:
        """Hash: one transaction: its round, claim, deadline and decision."""
        return f"{self.prefix}:txn:{event_id}"

    @property
    def transactions(self) -> str:
        """Sorted set: every transaction with a deadline to act on, scored by it (ms, store's clock)."""
        return f"{self.prefix}:txns"

    @property
    def wake_up(self) -> str:
        """List: a wake-up for workers, one entry for each new transaction; the queue is authoritative."""
        return f"{self.prefix}:txn-wake-up"

    def run_of(self, worker: str) -> str:
        """String: the transaction whose handlers a worker runs."""
        return f"{self.prefix}:txn-run:{worker}"

    def replies(self, process: str) -> str:
        """List: what has been decided, for the ingest process that waits for it."""
        return f"{self.prefix}:replies:{process}"

    def decided(self, decision: str) -> str:
        """Sorted set: events whose transaction ended as rejected, failed or abandoned, scored by when."""
        return f"{self.prefix}:decided:{decision}"

    @property
    def orphans(self) -> str:
        """Sorted set: events with effects of handlers although the sender was told of a failure; until resolved."""
        return f"{self.prefix}:orphans"

    @property
    def handlers(self) -> str:
        """Hash: the handlers that workers have announced, by name, one JSON object each."""
        return f"{self.prefix}:handlers"

    def minute(self, minute: int) -> str:
        """Hash: the counts of runs in a minute since 1970, by handler and outcome or duration."""
        return f"{self.prefix}:minute:{minute}"

    @property
    def letter_hooks(self) -> str:
        """String: there while worker processes have functions that want to be told of dead letters."""
        return f"{self.prefix}:letter-hooks"

    @property
    def untold(self) -> str:
        """Sorted set: jobs that became dead letters and of which no function has been told, scored by when to (ms)."""
        return f"{self.prefix}:untold"

    def alive(self, kind: str, process: str) -> str:
        """Hash: a live process, and the types that it treats as transactional."""
        return f"{self.prefix}:alive:{kind}:{process}"

    def available(self, queue: str) -> str:
        """Sorted set: the worker processes available on a queue, by their last heartbeat (ms, store's clock)."""
        return self.alive("queue", queue)

    def for_scripts(self) -> str:
        """Lua constants for the same names; one that ends in a colon is a prefix."""
        return "\n".join(
            f"local {name} = '{value}'"
            for name, value in {
                "OPEN": self.open,
                "LEDGER": self.ledger,
                "EXTRA_JOBS": self.extra_jobs,
                "OUR_QUEUES": self.queues,
                "SWEEP_LOCK": self.sweep_lock,
                "SWEEP_MARK": self.sweep_mark,
                "PAUSED": self.paused,
                "LINE": f"{self.prefix}:line:",
                "UNROUTED": self.unrouted,
                "WAITING_LINES": self.waiting_lines,
                "LATEST": f"{self.prefix}:latest:",
                "LIMITS": self.limits(""),
                "RECENT_FAILURES": self.recent_failures(""),
                "RECONCILE_LOCK": self.reconcile_lock,
                "EVENT": self.event(""),
                "ATTEMPTS": self.attempts(""),
                "KNOWN_IDS": self.known_ids(""),
                "KNOWN_IDS_STATE": self.known_ids_state,
                "ERASED_USER": self.erased_user(""),
                "BODY_RETENTION": self.body_retention,
                "CLOSED_BODIES": self.closed_bodies,
                "INDEX": self.index(""),
                "INDEX_SUMMARY": self.index_summary(""),
                "INDEX_SEGMENTS": self.index_segments,
                "INDEX_STATE": self.index_state,
                "INDEX_UNFINISHED": self.index_unfinished,
                "LEASES": self.leases(""),
                "PROCESS_CLAIMS": self.process_claims(""),
                "EXCHANGE": self.exchange(""),
                "TXN": self.transaction(""),
                "TXNS": self.transactions,
                "TXN_RUN": self.run_of(""),
                "WAKE_UP": self.wake_up,
                "REPLIES": self.replies(""),
                "DECIDED": self.decided(""),
                "ORPHANS": self.orphans,
                "LETTER_HOOKS": self.letter_hooks,
                "UNTOLD": self.untold,
                "AUDIT": self.audit,
                "BULK": self.bulk_action(""),
                "BULKS": self.bulk_actions,
                "GROUP": self.group(""),
                "GROUPS": self.groups(""),
                "GROUP_HANDLERS": self.group_handlers,
                "HANDLERS": self.handlers,
                "MINUTES": f"{self.prefix}:minute:",
                "ALIVE": self.alive("", "").removesuffix(":"),
                "TRANSACTIONAL": TRANSACTIONAL_QUEUE,
                "JOB": self.rq_job(""),
                "QUEUE": self.rq_queue(""),
                "QUEUES": self.rq_queues,
                "SUSPENDED": self.rq_suspended,
                "RESULTS": self.rq_results(""),
                "WIP": f"{self.rq}:wip:",
                "EXECUTION": f"{self.rq}:execution:",
                "EXECUTIONS": f"{self.rq}:executions:",
                "WORKER": self.rq_worker(""),
                "WORKERS_OF": self.rq_workers_of(""),
                "FINISHED": f"{self.rq}:finished:",
                "FAILED": self.rq_failed(""),
                "CANCELED": self.rq_canceled(""),
                "SCHEDULED": self.rq_scheduled(""),
                "DEFERRED": self.rq_deferred(""),
                "INTERMEDIATE_SUFFIX": ":intermediate",
            }.items()
        )
