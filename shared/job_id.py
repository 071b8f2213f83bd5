"""The id of a job: the id of its event, and of the handler it is for."""

from typing import NamedTuple

_EVENT_ID_LENGTH = 36  # a UUID's text


def packed_id(event_id: str) -> bytes:
    """An event's id as 16 bytes, as the store keeps those of events that are long closed."""
    return bytes.fromhex(event_id.replace("-", ""))


def event_id_of(job_id: str) -> str:
    return job_id[:_EVENT_ID_LENGTH]


def handler_of(job_id: str) -> str:
    """The id of the handler; "" for the event's own job."""
    return job_id[_EVENT_ID_LENGTH + 1 :]


class JobId(NamedTuple):
    """An event has one job of its own, and one for each handler if several want it."""

    event_id: str
    handler: str = ""
    """The id of the handler; "" for the event's own job."""

    @classmethod
    def parse(cls, text: str) -> "JobId":
        """Read `EVENT` or `EVENT_HANDLER`."""
        return cls(event_id_of(text), handler_of(text))

    def __str__(self) -> str:
        return f"{self.event_id}_{self.handler}" if self.handler else self.event_id
