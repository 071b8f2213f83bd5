"""A page that shows what the simulated FusionAuth sent, and what was answered."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import escape
from threading import Lock
from typing import Any

from surehook.fusionauth.simulator.delivery import Attempt

SHOWN = 200
REFRESH_SECONDS = 2
POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; frame-ancestors 'none'"
STYLE = """
:root { color-scheme: light dark; font: 15px/1.45 system-ui, sans-serif; }
body { margin: 0 auto; max-width: 70rem; padding: 1rem; }
h1 { font-size: 1.2rem; }
table { border-collapse: collapse; width: 100%; }
th, td { padding: .25rem .75rem .25rem 0; text-align: left; vertical-align: top; overflow-wrap: anywhere; }
tr { border-bottom: 1px solid #8884; }
.failed { color: #c62828; font-weight: 600; }
@media (prefers-color-scheme: dark) { .failed { color: #ff8a80; } }
@media (max-width: 40rem) { .id { display: none; } }
"""


@dataclass
class Page:
    """The newest attempts. `record` may be called from any thread."""

    counts: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._rows: deque[tuple[Attempt, str, str]] = deque(maxlen=SHOWN)
        self._lock = Lock()

    def record(self, attempt: Attempt, event: Mapping[str, Any]) -> None:
        name = str(attempt.response.status)
        with self._lock:
            self.counts[name] = self.counts.get(name, 0) + 1
            self._rows.appendleft((attempt, str(event["type"]), str(event["id"])))

    def html(self) -> str:
        with self._lock:
            rows, counts = list(self._rows), dict(self.counts)
        total = sum(counts.values())
        answers = ", ".join(f"{count:,} answered {escape(_words(status))}" for status, count in sorted(counts.items()))
        return (
            f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Simulated FusionAuth</title>'
            f'<meta name="viewport" content="width=device-width, initial-scale=1">'
            f'<meta http-equiv="refresh" content="{REFRESH_SECONDS}"><style>{STYLE}</style></head><body>'
            f"<h1>Simulated FusionAuth</h1><p>{total:,} attempts{': ' if total else '.'}{answers}</p>"
            f'<table><thead><tr><th scope="col">Time (UTC)<th scope="col">Type<th scope="col" class="id">Event'
            f'<th scope="col">Answer<th scope="col">ms</tr></thead><tbody>{"".join(map(_row, rows))}</tbody></table>'
            f"</body></html>"
        )


def _row(row: tuple[Attempt, str, str]) -> str:
    attempt, event_type, event_id = row
    at = datetime.fromtimestamp(attempt.started_at / 1000, UTC).strftime("%H:%M:%S")
    answer = escape(_words(str(attempt.response.status)))
    detail = escape(attempt.response.exception or (attempt.fault.value if attempt.fault else ""))
    kind = "" if attempt.response.is_success else ' class="failed"'
    return (
        f'<tr><td>{at}<td>{escape(event_type)}<td class="id">{escape(event_id)}'
        f"<td{kind}>{answer}{f' ({detail})' if detail else ''}<td>{attempt.ended_at - attempt.started_at}</tr>"
    )


def _words(status: str) -> str:
    return "nothing" if status == "-1" else status
