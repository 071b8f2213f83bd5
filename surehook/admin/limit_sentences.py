"""Says in a sentence which limits a queue has, and why its jobs wait."""

from surehook.shared.stats import LimitState

WAITS = {
    "closed": "closed by a handler",
    "breaker": "probing",
    "concurrency": "full",
    "rate": "waits for its rate",
}


def limit_sentence(limits: LimitState) -> str:
    """Names the limits of a queue, and the reason why its jobs wait."""
    parts = [f"{limits.concurrency:,} at a time" if limits.concurrency else "any number at a time"]
    parts.append(limits.rate or "any rate")
    if limits.is_set_by_operator:
        parts[-1] += " (set by an operator)"
    if limits.has_breaker:
        open_for = limits.breaker_open_seconds
        parts.append("breaker closed" if open_for is None else f"breaker OPEN for {_duration(open_for)}")
    if limits.waits_for:
        until = "" if limits.wait_seconds is None else f", next start in {_duration(limits.wait_seconds)}"
        parts.append(f"{WAITS[limits.waits_for]}{until}")
    return ", ".join(parts)


def _duration(seconds: float) -> str:
    if seconds < 10:  # noqa: PLR2004 - rates of several a second
        return f"{seconds:.1f} s"
    if seconds < 2 * 3600:
        return f"{seconds:,.0f} s"
    return f"{seconds / 3600:,.1f} h"
