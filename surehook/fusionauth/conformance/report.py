"""Results as JSON and as a page."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from surehook.fusionauth.conformance.case import Expected, Level
from surehook.fusionauth.conformance.examination import NOT_VISIBLE, PROVED, shown
from surehook.fusionauth.conformance.exchange import Exchange
from surehook.fusionauth.conformance.judgement import Result

MOST_EXCHANGES = 100


def not_visible(results: Sequence[Result]) -> list[str]:
    """Returns what these results say nothing about."""
    tried = {each.case.id for each in results if each.level is not Level.NOT_TRIED}
    return [sentence for number, sentence in enumerate(NOT_VISIBLE) if PROVED.get(number) not in tried]


def fusionauth(result: Result, exchange: Exchange) -> str:
    """Says what FusionAuth would have made of an answer."""
    return exchange.fusionauth(is_genuine=result.case.expected is Expected.ACCEPTED)


def counts(results: Sequence[Result]) -> dict[str, int]:
    found = Counter(each.level for each in results)
    return {level.value: found[level] for level in Level}


def as_document(url: str, results: Sequence[Result]) -> dict[str, Any]:
    """Returns everything, for other programs. It has no secret."""
    return {
        "url": shown(url),
        "counts": counts(results),
        "cases": [_case(each) for each in results],
        "not_visible": not_visible(results),
    }


def as_page(url: str, results: Sequence[Result]) -> str:
    """Returns a page of HTML that needs nothing else."""
    from jinja2 import Environment, PackageLoader  # noqa: PLC0415 - slow to import, and rarely needed

    environment = Environment(
        loader=PackageLoader("surehook.fusionauth.conformance", "."), autoescape=True, trim_blocks=True
    )
    template = environment.get_template("report.html")
    return template.render(**as_document(url, results), levels=[level.value for level in Level])


def _case(result: Result) -> dict[str, Any]:
    case, judgement = result.case, result.judgement
    exchanges = judgement.exchanges[:MOST_EXCHANGES]
    return {
        "id": case.id,
        "title": case.title,
        "level": judgement.level.value,
        "wrong": judgement.wrong,
        "expected": case.expected.value,
        "exchanges": [
            {"sent": each.sent, "came_back": each.came_back, "fusionauth": fusionauth(result, each)}
            for each in exchanges
        ],
        "facts": case.facts,
        "source": case.url,
    }
