"""The events that a soak sends, and the effects that each must have at the end."""

import json
import random
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from surehook.fusionauth.samples import sample

_ID = UUID(int=0xC0FFEE)


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of event: its share in percent, and the handlers that must have an effect."""

    event_type: str
    share: float
    handlers: tuple[str, ...]
    is_hopeless: bool = False
    """The event must become a dead letter."""

    def body(self, event_id: str) -> bytes:
        return _BODIES[self.event_type].replace(str(_ID).encode(), event_id.encode())


KILLS_ONCE = Kind("user.password.breach", 0, ("kills_once",))
KILLS = Kind("user.password.update", 0, (), is_hopeless=True)
KINDS = (
    Kind("user.create", 47, ("plain",)),
    Kind("user.login.success", 20, ("waits",)),
    Kind("user.delete", 12, ("mail", "crm", "audit")),
    Kind("user.update", 10, ("flaky",)),
    Kind("user.login.failed", 5, ("later",)),
    Kind("user.bulk.create", 0.5, ("slow",)),
    Kind("user.email.verified", 0.5, ("overruns",)),
    Kind("user.reactivate", 0.5, (), is_hopeless=True),
    Kind("user.deactivate", 0.5, (), is_hopeless=True),
    Kind("event-log.create", 4, ()),  # no handler matches it
    KILLS_ONCE,
    KILLS,
)
_BODIES = {
    kind.event_type: json.dumps(sample(kind.event_type, now=datetime.now(UTC), event_id=_ID)).encode() for kind in KINDS
}


KIND_OF_TYPE = {kind.event_type: kind for kind in KINDS}
_SHARES = [kind.share for kind in KINDS]


def draw(chance: random.Random) -> tuple[Kind, str]:
    """Draws a kind by its share, and a new id."""
    (kind,) = chance.choices(KINDS, _SHARES)
    return kind, str(UUID(int=chance.getrandbits(128), version=4))
