"""The log lines that an operator is told to look for are those that the code writes."""

import re

import pytest

from tests.support.containers import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
CODE = re.sub(
    r'"\s*\n\s*f?"',
    "",
    "\n".join(
        path.read_text("utf-8")
        for package in ("ingest", "workers", "shared", "surehook/admin", "surehook/dashboard", "surehook/fusionauth")
        for path in sorted((ROOT / package).rglob("*.py"))
    ),
)
MENTIONS = (
    r"\blog(?:s|ged| line|ged once as an error)?(?: says|:|,)? `([a-z][^`=]+)`",
    r"\bin its lines `([a-z][^`=]+)`",
    r"`([a-z][^`=]+)` in (?:the|their) log",
    r"the log (?:says why|says which|says more) \(`([a-z][^`=]+)`\)",
    r"^\| `([a-z][a-z -]+, [a-z ]+)` \|",
)


def mentioned() -> list[str]:
    texts = [" ".join(page.read_text("utf-8").replace("\n|", "\0|").split()).replace("\0", "\n") for page in PAGES]
    found = {line for text in texts for each in MENTIONS for line in re.findall(each, text, re.MULTILINE)}
    return sorted(line for line in found if not line.startswith("surehook ") and not re.search(r"\d", line))


@pytest.mark.parametrize("line", mentioned())
def test_a_log_line_of_the_docs_is_written_by_the_code(line: str) -> None:
    assert line in CODE


def test_they_are_found_in_the_docs() -> None:
    assert len(mentioned()) > 15
