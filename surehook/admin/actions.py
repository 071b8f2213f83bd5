"""The actions of operators on an event, as its record keeps them."""

import getpass
import json
import socket
from dataclasses import dataclass
from datetime import UTC, datetime

LONGEST_REASON = 200


@dataclass(frozen=True, slots=True)
class Action:
    """An operator's action on an event, or on its job for one handler."""

    at: datetime
    action: str
    handler: str
    """"" for the event, or for its only handler."""
    who: str
    reason: str


def read_actions(field: str) -> list[Action]:
    """Reads the field `actions` of an event record, the oldest first."""
    # A reason may have other line separators, such as U+2028, as part of its text.
    return [_action(json.loads(line)) for line in field.split("\n") if line]


def _action(line: dict[str, str]) -> Action:
    at = datetime.fromtimestamp(float(line["at"]) / 1000, UTC)
    return Action(at, line["action"], line["handler"], line["who"], line["reason"])


def operator() -> str:
    """Names the operator who runs a command: the account and the machine."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container's user need not have a name
        name = "?"
    return f"{name}@{socket.gethostname()}"
