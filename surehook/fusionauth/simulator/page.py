"""A page that shows what the simulated FusionAuth sent, and what was answered."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import escape
from threading import Lock
from typing import Any

from surehook.fusionauth.simulator.delivery import Attempt
from surehook.shared.plural import counted

SHOWN = 200
REFRESH_SECONDS = 2
POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; frame-ancestors 'none'"
STYLE = """
:root { color-scheme: light dark; font: 15px/1.45 system-ui, sans-serif; }
body { margin: 0 auto; max-width: 84rem; padding: 1rem; }
h1 { font-size: 1.2rem; }
table { border-collapse: collapse; width: 100%; }
th, td { padding: .25rem .75rem .25rem 0; text-align: left; vertical-align: top; overflow-wrap: break-word; }
.answer { overflow-wrap: anywhere; }
td.at, .ms { font-variant-numeric: tabular-nums; white-space: nowrap; }
.ms { padding-right: 0; text-align: right; }
tr { border-bottom: 1px solid #8884; }
.failed { color: #c62828; font-weight: 600; }
@media (prefers-color-scheme: dark) { .failed { color: #ff8a80; } }
@media (max-width: 40rem) { .id { display: none; } }
@media (min-width: 48rem) { .id { white-space: nowrap; } }
@media (min-width: 64rem) { .at { white-space: nowrap; } .type wbr { display: none; } }
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
        attempts = counted(total, "attempt", "attempts")
        answers = ", ".join(f"{count:,} {escape(_words(status))}" for status, count in sorted(counts.items()))
        return (
            f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Simulated FusionAuth</title>'
            f'<meta name="viewport" content="width=device-width, initial-scale=1">'
            f'<meta http-equiv="refresh" content="{REFRESH_SECONDS}"><style>{STYLE}</style></head><body>'
            f"<h1>Simulated FusionAuth</h1><p>{attempts}{': ' if total else ''}{answers}.</p>"
            f'<table><thead><tr><th scope="col" class="at">Time (UTC)<th scope="col" class="type">Type'
            f'<th scope="col" class="id">Event<th scope="col" class="answer">Answer<th scope="col" class="ms">ms</tr>'
            f"</thead><tbody>{''.join(map(_row, rows))}</tbody></table>"
            f"</body></html>"
        )


def _row(row: tuple[Attempt, str, str]) -> str:
    attempt, event_type, event_id = row
    at = datetime.fromtimestamp(attempt.started_at / 1000, UTC).strftime("%H:%M:%S")
    answer = escape(_words(str(attempt.response.status)).removeprefix("answered "))
    detail = escape(attempt.response.exception or (attempt.fault.value if attempt.fault else ""))
    kind = "answer" if attempt.response.is_success else "answer failed"
    breakable = escape(event_type).replace(".", ".<wbr>")  # a long type breaks between its words alone
    took_ms = attempt.ended_at - attempt.started_at
    return (
        f'<tr><td class="at">{at}<td class="type">{breakable}<td class="id">{escape(event_id)}'
        f'<td class="{kind}">{answer}{f" ({detail})" if detail else ""}<td class="ms">{took_ms:,}</tr>'
    )


def _words(status: str) -> str:
    return "without an answer" if status == "-1" else f"answered {status}"
