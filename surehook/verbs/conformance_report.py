"""Shows the results of `surehook conformance` on a terminal, and as lines in a pipe."""

import sys
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from surehook.shared.plural import counted
from surehook.shared.visible import visible_line
from surehook.verbs.output import echo

if TYPE_CHECKING:
    from surehook.fusionauth.conformance.judgement import Result

NOT_TRIED = "not tried"
COLUMNS = 80
COLOURS = {
    "loses events": "bold red",
    "lets a forgery in": "bold red",
    "blocks users": "bold magenta",
    "odd": "yellow",
    NOT_TRIED: "dim",
    "ok": "green",
}
WORDS = {
    "loses events": ("loses events", "lose events"),
    "lets a forgery in": ("lets a forgery in", "let a forgery in"),
    "blocks users": ("blocks users", "block users"),
    "odd": ("is odd", "are odd"),
    NOT_TRIED: ("was not tried", "were not tried"),
    "ok": ("is fine", "are fine"),
}


def show_area(results: "Sequence[Result]", *, is_quiet: bool) -> None:
    """Prints the results of one area; what did not pass, with what was sent and answered."""
    if is_quiet or not results:
        return
    if not sys.stdout.isatty():
        for result in results:
            words = (result.level.value, result.case.id, result.case.title, result.judgement.wrong, *_exchange(result))
            echo("\t".join(map(visible_line, words)).rstrip())
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False, title_justify="left", title_style="bold")
    table.title = results[0].case.area
    table.add_column(width=max(map(len, COLOURS)), no_wrap=True)
    table.add_column(overflow="fold")
    for result in results:
        if result.level.value != NOT_TRIED:
            table.add_row(Text(result.level.value, COLOURS[result.level.value]), Text.assemble(*_lines(result)))
    for reason, count in Counter(each.judgement.wrong for each in results if each.level.value == NOT_TRIED).items():
        cases = counted(count, "case", "cases")
        table.add_row(Text(NOT_TRIED, COLOURS[NOT_TRIED]), Text(f"{cases}: {reason}", COLOURS[NOT_TRIED]))
    Console(markup=False, emoji=False, highlight=False).print(table, "")


def show_summary(results: "Sequence[Result]") -> None:
    """Prints how many cases have which level, and what none of them can show."""
    from surehook.fusionauth.conformance.report import counts, not_visible

    found = counts(results)
    parts = (counted(found[level], *words) for level, words in WORDS.items())
    summary = f"{counted(len(results), 'case', 'cases')}: {', '.join(parts)}."
    if not sys.stdout.isatty():
        echo(summary)
        return
    echo("Not visible from outside:")
    for sentence in not_visible(results):
        echo(textwrap.fill(sentence, COLUMNS - 1, initial_indent="  ", subsequent_indent="    "))
    echo("\n" + textwrap.fill(summary, COLUMNS - 1))


def _lines(result: "Result") -> Iterator[tuple[str, str]]:
    case, judgement = result.case, result.judgement
    yield f"{case.title}", ""
    yield f" {case.id}", "dim"
    if not judgement.wrong:
        return
    yield f"\n{visible_line(judgement.wrong)}", COLOURS[result.level.value]
    for name, text in zip(("Sent", "Came back", "FusionAuth", "Source"), _exchange(result), strict=True):
        if text:
            yield f"\n{name}: ", "dim"
            yield visible_line(text), ""


def _exchange(result: "Result") -> tuple[str, str, str, str]:
    """Returns the exchange that tells most, and the source."""
    from surehook.fusionauth.conformance.report import fusionauth

    exchanges = result.judgement.exchanges
    if not exchanges:
        return ("", "", "", result.case.url)
    worst = exchanges[0]
    return (worst.sent, worst.came_back, fusionauth(result, worst), result.case.url)
