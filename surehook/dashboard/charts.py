"""Bars of runs as SVG: what failed stands at the bottom in the accent colour, what was good above it."""

from collections.abc import Sequence
from datetime import timedelta

from markupsafe import Markup

from surehook.dashboard.history import Bar
from surehook.dashboard.rendering import plural
from surehook.shared.visible import visible_line

BAR_WIDTH, GAP = 4, 1


def chart(bars: Sequence[Bar], *, name: str, height: int = 28) -> Markup:
    """The chart, with its numbers as text for those who do not see it and on hover."""
    highest = max((bar.good + bar.failed for bar in bars), default=0)
    width = len(bars) * (BAR_WIDTH + GAP)
    shapes = Markup().join(_shapes(bar, place, highest, height) for place, bar in enumerate(bars))
    return Markup(
        '<svg class="chart" viewBox="0 0 {width} {height}" preserveAspectRatio="none" role="img" aria-label="{label}">'
        '<path class="ground" d="M0 {base}H{width}"/>{shapes}</svg>'
    ).format(width=width, height=height, base=height - 0.5, label=_label(bars, name, highest), shapes=shapes)


def _shapes(bar: Bar, place: int, highest: int, height: int) -> Markup:
    if not bar.good + bar.failed:
        return Markup()
    # One failure among thousands of runs must be seen.
    failed = max(2.0, bar.failed / highest * height) if bar.failed else 0.0
    good = min(bar.good / highest * height, height - failed)
    left = place * (BAR_WIDTH + GAP)
    end = bar.start + timedelta(minutes=bar.minutes)
    said = Markup("<title>{:%H:%M} to {:%H:%M} UTC: {}</title>").format(bar.start, end, _numbers(bar.good, bar.failed))
    shapes = Markup()
    for kind, bottom, size in (("failed", height, failed), ("good", height - failed, good)):
        if size:
            shapes += Markup('<rect class="{}" x="{}" y="{:.1f}" width="{}" height="{:.1f}"/>').format(
                kind, left, bottom - size, BAR_WIDTH, size
            )
    return Markup("<g>{}{}</g>").format(said, shapes)


def _label(bars: Sequence[Bar], name: str, highest: int) -> str:
    name = visible_line(name)
    if not highest:
        return f"{name}: no runs"
    numbers = _numbers(sum(bar.good for bar in bars), sum(bar.failed for bar in bars))
    span = "a minute" if bars[0].minutes == 1 else f"{bars[0].minutes} minutes"
    return f"{name}: {numbers}; at most {highest:,} in {span}"


def _numbers(good: int, failed: int) -> str:
    runs = plural(good + failed, "run")
    return f"{runs}, {failed:,} failed" if failed else runs
