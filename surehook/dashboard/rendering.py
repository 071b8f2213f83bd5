"""The templates, and how values are written on a page."""

import re
from collections.abc import Callable
from datetime import UTC, datetime

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from surehook.shared.visible import visible, visible_line

MINUTE, HOUR, DAY = 60, 3600, 86_400
SHORT_ID = 8


def build_templates(clock: Callable[[], float]) -> Environment:
    """Every value is escaped where it is inserted, and a value that is missing is an error."""
    templates = Environment(
        loader=PackageLoader("surehook.dashboard"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalized,
    )
    templates.filters |= {
        "ago": lambda instant: ago(instant, clock()),
        "number": number,
        "duration": duration,
        "plural": plural,
        "breakable": breakable,
        "commands": commands,
        "block": lambda text: Markup.escape(visible(text)),
    }
    return templates


def _finalized(value: object) -> object:
    """Control characters and marks that hide or reverse text are written out."""
    return visible_line(value) if type(value) is str else value


def ago(instant: datetime | None, now: float) -> Markup:
    """How long ago, or in how long, it is, with the exact time on hover."""
    if instant is None:
        return Markup("–")  # noqa: RUF001
    seconds = now - instant.timestamp()
    exact = instant.astimezone(UTC)
    text = _span(abs(seconds))
    words = "now" if text == "0 s" else f"{text} ago" if seconds > 0 else f"in {text}"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        exact.isoformat(timespec="milliseconds"), exact.strftime("%Y-%m-%d %H:%M:%S UTC"), words
    )


def _span(seconds: float) -> str:
    for at_least, unit, name in ((2 * DAY, DAY, "d"), (2 * HOUR, HOUR, "h"), (2 * MINUTE, MINUTE, "min")):
        if seconds >= at_least:
            return f"{seconds // unit:.0f} {name}"
    return f"{seconds:.0f} s"


def breakable(text: str) -> Markup:
    """A type or a name that may be broken after its dots and underscores."""
    return Markup("<wbr>").join(re.split(r"(?<=[._])", visible_line(text)))


def commands(text: str) -> Markup:
    """A sentence of ours or of the doctor, with the commands in it that stand between backquotes."""
    parts = re.split(r"`([^`]*)`", visible_line(text))
    return Markup().join(
        Markup("<code>{}</code>").format(part) if place % 2 else Markup.escape(part) for place, part in enumerate(parts)
    )


def number(value: int) -> str:
    return f"{value:,}"


def duration(seconds: float | None) -> str:
    if seconds is None:
        return "–"  # noqa: RUF001
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < MINUTE:
        return f"{seconds:.0f} s" if seconds == int(seconds) else f"{seconds:.1f} s"
    return _span(seconds)


def plural(count: int, one: str, many: str | None = None) -> str:
    """ "1 event", "3 events"."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
