"""Reads RQ's jobs for rq-dashboard without unpickling anything, and without changing the store.

Compressed tracebacks are read up to a bound.

RQ's serializer is pickle unless another one is named, and a pickle runs code of its author's choice: of anyone who can
write to the store. rq-dashboard 0.9.0 names no serializer for a job's page and for its workers' jobs. What is no JSON,
or not written by this version of RQ, is shown as just that.
"""

import json
from typing import Any

import redis
from rq import Queue, Worker
from rq.exceptions import NoSuchJobError as NoSuchJob
from rq.executions import Execution
from rq.job import Job
from rq.results import Result
from rq_dashboard import web

from surehook.shared.tracebacks import packed, unpacked

NOT_JSON = "(cannot be shown: it is not JSON)"
UNREADABLE = "(cannot be shown: RQ cannot read this job)"
UNAVAILABLE = (redis.ConnectionError, redis.TimeoutError)


class Unreadable(Exception):
    """The store has something at a job's key, or for its result, that RQ cannot read."""


class Json:
    """RQ's JSON serializer, with a sentence in place of what is no JSON."""

    @staticmethod
    def dumps(*_: Any) -> bytes:
        raise NotImplementedError("the dashboard stores no jobs")

    @staticmethod
    def loads(data: bytes) -> Any:
        try:
            return json.loads(data, parse_constant=str)
        except (ValueError, RecursionError):
            return NOT_JSON


class ReadResult(Result):  # type: ignore[misc]
    """A result of a job."""

    @classmethod
    def restore(cls, job_id: str, result_id: str, payload: dict[Any, Any], **options: Any) -> Any:
        stored = payload.get(b"exc_string")
        if stored:
            payload = {**payload, b"exc_string": packed(unpacked(stored)).encode()}  # RQ unpacks without a bound
        return super().restore(job_id, result_id, payload, **options)


class ReadJob(Job):  # type: ignore[misc]
    """A job whose arguments stay unread: descriptions are shown instead."""

    def __init__(self, id: str | None = None, connection: Any = None, serializer: Any = None) -> None:  # noqa: A002, ARG002
        super().__init__(id, connection=connection, serializer=Json)

    def restore(self, raw_data: dict[bytes, bytes]) -> Any:
        """
        Raises:
            Unreadable: RQ did not write this.
        """
        try:
            # `exc_info` is an older place for the traceback, which nothing here shows.
            return super().restore({**raw_data, b"data": b"-", b"exc_info": b""})
        except Exception as exc:
            raise Unreadable from exc

    def latest_result(self, timeout: int = 0) -> Any:
        """
        Raises:
            Unreadable: RQ did not write this.
        """
        try:
            return ReadResult.fetch_latest(self, serializer=self.serializer, timeout=timeout)
        except UNAVAILABLE:
            raise
        except Exception as exc:
            raise Unreadable from exc


class UnreadableJob:
    """Stands in a list for a job that cannot be read."""

    def __init__(self, job_id: str) -> None:
        self.id = job_id
        self.description = UNREADABLE


class ReadQueue(Queue):  # type: ignore[misc]
    job_class = ReadJob

    @classmethod
    def all(cls, connection: Any, **_: Any) -> list[Any]:
        """Unlike RQ's, skips what is no queue: one strange entry does not hide the others."""
        keys = [key.decode("utf-8", "replace") for key in connection.smembers(cls.redis_queues_keys)]
        prefix = cls.redis_queue_namespace_prefix
        return [cls(key.removeprefix(prefix), connection=connection) for key in keys if key.startswith(prefix)]

    def fetch_job(self, job_id: str) -> Any:
        """Unlike RQ's, leaves the id in the list if the job is not there."""
        try:
            job = ReadJob.fetch(job_id, connection=self.connection)
        except NoSuchJob:
            return None
        except UNAVAILABLE:
            raise
        except (Unreadable, redis.RedisError, ValueError):
            return UnreadableJob(job_id)
        return job if job.origin == self.name else None


class ReadWorker(Worker):  # type: ignore[misc]
    job_class = ReadJob
    queue_class = ReadQueue

    @classmethod
    def find_by_key(cls, worker_key: str, connection: Any, *classes: Any, **options: Any) -> Any:
        """Unlike RQ's, leaves the registration of a worker that is not there, and skips what RQ did not write."""
        try:
            return (
                super().find_by_key(worker_key, connection, *classes, **options)
                if connection.exists(worker_key)
                else None
            )
        except UNAVAILABLE:
            raise
        except (redis.RedisError, ValueError):
            return None

    def get_current_executions(self, refresh: bool = False) -> list[Any]:  # noqa: ARG002, FBT001, FBT002
        """Unlike RQ's, leaves executions that are over where they are."""
        keys = [key.decode() for key in self.connection.smembers(self.executions_key)]
        found = [Execution.from_composite_key(key, connection=self.connection) for key in keys]
        return [execution for execution in found if self.connection.exists(execution.key)]

    def get_current_job(self) -> Any:
        try:
            return super().get_current_job()
        except NoSuchJob:
            return None
        except UNAVAILABLE:
            raise
        except (Unreadable, redis.RedisError, ValueError):
            return UnreadableJob("unreadable")


def read_without_pickle() -> None:
    """Gives rq-dashboard these classes."""
    web.config.serializer = Json
    web.Job, web.Queue, web.Worker = ReadJob, ReadQueue, ReadWorker
    web.serialize_job, web.serialize_current_job = list_entry, current_job_entry


_rq_dashboards_entry = web.serialize_job


def list_entry(job: Any) -> dict[str, Any]:
    """Describes a job in a list: one that cannot be read does not hide the others."""
    try:
        if not isinstance(job, UnreadableJob):
            entry: dict[str, Any] = _rq_dashboards_entry(job)
            return entry
    except Unreadable:
        pass
    return {
        "id": job.id,
        "created_at": None,
        "started_at": None,
        "ended_at": None,
        "exc_info": None,
        "description": UNREADABLE,
    }


def current_job_entry(job: Any) -> Any:
    """Describes a worker's job, by its description instead of its arguments."""
    if job is None:
        return "idle"
    created_at = web.serialize_date(getattr(job, "created_at", None))
    return {"job_id": job.id, "description": job.description, "created_at": created_at, "call_string": job.description}


__all__ = ["NoSuchJob", "Unreadable", "read_without_pickle"]
