"""The page is safe whatever the receiver answers, and needs nothing else."""

import re

from surehook.fusionauth.conformance.case import Case, Expected, Level
from surehook.fusionauth.conformance.examination import NOT_VISIBLE
from surehook.fusionauth.conformance.exchange import Exchange
from surehook.fusionauth.conformance.judgement import Judgement, Result
from surehook.fusionauth.conformance.proof import ONCE
from surehook.fusionauth.conformance.report import as_document, as_page
from surehook.fusionauth.simulator.http_client import CallResponse

CASE = Case("area.name", "A title.", "§1", "https://example.com", Expected.ACCEPTED, Level.ODD, (), lambda _: [])
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
URL = "https://user:word@example.com/hook?key=secret"


def test_an_answer_cannot_put_markup_into_the_page() -> None:
    exchange = Exchange("POST x", "x", "id", CallResponse(500), 0.1, HOSTILE)
    results = [Result(CASE, Judgement(Level.ODD, "x was not accepted.", (exchange,)))]

    page = as_page(URL, results)

    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;" in page
    assert re.findall(r'<[^>]*(?:src|href)="([^"]*)"', page) == ["https://example.com"]
    assert "url(" not in page
    assert "user:word" not in page
    assert "key=secret" not in page


def test_what_was_proved_is_not_called_invisible() -> None:
    outside = as_document(URL, [Result(ONCE, Judgement(Level.NOT_TRIED))])
    inside = as_document(URL, [Result(ONCE, Judgement(Level.OK))])

    assert outside["not_visible"] == list(NOT_VISIBLE)
    assert inside["not_visible"] == list(NOT_VISIBLE[1:])
