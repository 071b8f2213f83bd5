"""A bar chart as SVG, written without a library."""

from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

WIDTH, ROW, LABELS, BARS = 720, 34, 250, 380
TOP = 44


def draw(path: Path, title: str, bars: Sequence[tuple[str, float]]) -> None:
    """Writes the chart; the longest bar takes the whole width."""
    highest = max(value for _, value in bars) or 1.0
    height = TOP + ROW * len(bars) + 10
    size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="system-ui, sans-serif" font-size="14">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="10" y="26" font-weight="bold" fill="#222222">{escape(title)}</text>',
    ]
    for number, (label, value) in enumerate(bars):
        y = TOP + ROW * number
        colour = "#1f6f8b" if label.startswith("surehook") else "#b9c4c9"
        length = BARS * value / highest
        lines += [
            f'<text x="{LABELS - 10}" y="{y + 18}" text-anchor="end" fill="#222222">{escape(label)}</text>',
            f'<rect x="{LABELS}" y="{y + 2}" width="{length:.1f}" height="{ROW - 12}" fill="{colour}"/>',
            f'<text x="{LABELS + length + 6:.1f}" y="{y + 18}" fill="#222222">{value:,.0f}</text>',
        ]
    path.write_text("\n".join([*lines, "</svg>", ""]), "utf-8")
