"""The settings of how long the body and the id of a closed event are kept, in relation to its record."""

from typing import Annotated, Any

from pydantic import AfterValidator, ValidationInfo

DEFAULT_ID_RETENTION_SECONDS = 30 * 86_400  # FusionAuth keeps its event log as long


def _require_at_most_retention(seconds: int, info: ValidationInfo) -> int:
    if seconds > info.data.get("retention", seconds):
        raise ValueError("expected at most RETENTION, because a body is kept no longer than its event's record")
    return seconds


def _require_at_least_retention(seconds: int, info: ValidationInfo) -> int:
    if seconds < info.data.get("retention", seconds):
        raise ValueError("expected at least RETENTION, because an id is known as long as its event's record is kept")
    return seconds


BodyRetention = Annotated[int, AfterValidator(_require_at_most_retention)]
IdRetention = Annotated[int, AfterValidator(_require_at_least_retention)]


def default_body_retention(known: dict[str, Any]) -> int:
    return int(known["retention"])


def default_id_retention(known: dict[str, Any]) -> int:
    return max(int(known["retention"]), DEFAULT_ID_RETENTION_SECONDS)
