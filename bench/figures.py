"""Formats the figures of several rounds."""

from collections.abc import Sequence
from statistics import median


def rate(values: Sequence[float]) -> str:
    """Returns the median with its range."""
    return f"{median(values):,.0f} ({min(values):,.0f} to {max(values):,.0f})"


def ratio(ours: Sequence[float], baseline: Sequence[float]) -> str:
    """Returns the median of the rounds' ratios, with its range.

    A ratio of two medians would compare different moments, and a shared machine can be twice as fast a minute later.
    """
    rounds = [one / other for one, other in zip(ours, baseline, strict=True)]
    return f"{median(rounds):.2f} ({min(rounds):.2f} to {max(rounds):.2f} over {len(rounds)} rounds)"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Aligns columns; the first row is the heading, the first column is text."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    )
