"""How figures of several rounds are told."""

from collections.abc import Sequence
from statistics import median


def rate(values: Sequence[float]) -> str:
    """The median and what lay around it."""
    return f"{median(values):,.0f} ({min(values):,.0f} to {max(values):,.0f})"


def ratio(ours: Sequence[float], baseline: Sequence[float]) -> str:
    """The median of each round's with the one beside it, and what lay around it. The medians of both sides may be of
    different moments, and a shared machine can be twice as fast a minute later."""
    rounds = [one / other for one, other in zip(ours, baseline, strict=True)]
    return f"{median(rounds):.2f} ({min(rounds):.2f} to {max(rounds):.2f} over {len(rounds)} rounds)"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as they need to be; the first row is the heading, the first column is text."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    )
