"""The audit: who did what to how many events, and why. It is capped, and holds no personal data."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import redis

from surehook.admin.portions import AT_ONCE
from surehook.shared.keys import Keys
from surehook.shared.scripts import Script, text


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One action of an operator."""

    at: datetime
    who: str
    action: str
    target: str
    """The events or the queue: an id, a filter, a name."""
    count: int
    reason: str
    action_id: str
    """The bulk action that it is part of, or ""."""
    entry_id: str
    """Its place in the audit."""


class Audit:
    """Writes and reads the audit of one installation."""

    def __init__(self, store: redis.Redis, keys: Keys) -> None:
        self._store = store
        self._keys = keys
        self._audit = Script("audit", keys)

    def write(self, who: str, action: str, *, target: str = "", count: int = 1, reason: str = "") -> None:
        """Writes an entry. Call it before the action: if it fails, nothing has happened that is not in the audit."""
        self._audit.run(self._store, who, action, target, count, reason)

    def write_each(self, who: str, action: str, targets: Sequence[str]) -> None:
        """Writes an entry for each target, as `write` does."""
        for start in range(0, len(targets), AT_ONCE):
            calls = [(who, action, target, 1, "") for target in targets[start : start + AT_ONCE]]
            self._audit.run_many(self._store, calls)

    def newest(self, limit: int = 100, *, since: datetime | None = None, before: str = "") -> list[AuditEntry]:
        """The newest entries, the newest first; those before the entry with the id `before`."""
        least = str(max(0, int(since.timestamp() * 1000))) if since else "-"
        found: Any = self._store.xrevrange(self._keys.audit, f"({before}" if before else "+", least, count=limit)
        return [_entry(text(number), fields) for number, fields in found]


def masked_user(user_id: str) -> str:
    """Names a user so that an entry can be compared with an id, but does not contain it."""
    return f"user sha256:{sha256(user_id.encode()).hexdigest()[:16]}"


def _entry(number: str, fields: dict[bytes, bytes]) -> AuditEntry:
    values = {text(name): text(value) for name, value in fields.items()}
    return AuditEntry(
        at=datetime.fromtimestamp(int(number.partition("-")[0]) / 1000, UTC),
        who=values["who"],
        action=values["action"],
        target=values["target"],
        count=int(values["count"]),
        reason=values["reason"],
        action_id=values["bulk"],
        entry_id=number,
    )
