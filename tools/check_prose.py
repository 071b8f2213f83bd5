"""Checks the prose of the repository: `python -m tools.check_prose [FOLDER_OR_FILE…]`.

It reads docstrings, comments, log messages, error sentences, names in code, Lua comments and Markdown, and reports

1. forbidden words: metaphors that a reader cannot look up, and pronouns that hide who does a thing;
2. docstrings and comments that open with a question word instead of a subject.

One forbidden word fails the check; so do openings in 1 % of all docstrings and comments.
"""

import ast
import io
import re
import sys
import tokenize
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = ("ingest", "workers", "shared", "surehook", "examples", "harness", "bench", "tests", "tools", "docs", ".ci")
ENDINGS = frozenset({".py", ".lua", ".md"})

FORBIDDEN = (
    *("somebody", "nobody", "anybody", "whoever", "all the same", "once more", "so many", "so many-th", "meanwhile"),
    *("conveyor", "appetite", "vacancy", "vacancies", "door", "doors", "doorkeeper", "bell", "bells", "crew", "crews"),
    *("back room", "back rooms", "hall", "heart", "hearts", "pulse", "pulses", "vault", "veto", "vetoes", "vetoed"),
    *("vote", "votes", "voted", "voter", "voters", "voting", "stranger", "strangers", "newcomer", "newcomers"),
    *("a yes", "a no", "the yes", "the no"),
)
# These hold the words they look for.
UNREAD = frozenset({"tools/check_prose.py", "tests/unit/tools/test_check_prose.py"})

OPENINGS = ("what", "whether", "who", "whoever", "of", "those", "one that", "where", "so many")
MOST_OPENINGS = 0.01

LOG_METHODS = frozenset({"debug", "info", "warning", "error", "exception", "critical", "log"})

_FORBIDDEN = re.compile(rf"(?<![\w-])({'|'.join(sorted(FORBIDDEN, key=len, reverse=True))})(?![\w-])", re.IGNORECASE)
_OPENING = re.compile(rf"\W*({'|'.join(OPENINGS)})\b", re.IGNORECASE)
_DIRECTIVE = re.compile(r"(noqa|type:|pragma|fmt:|!)")
_WORD_IN_NAME = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of prose and its place."""

    kind: str
    line: int
    text: str

    @property
    def can_open_badly(self) -> bool:
        return self.kind in ("docstring", "comment")


@dataclass(frozen=True, slots=True)
class Problem:
    """One line of the report."""

    path: str
    line: int
    kind: str
    rule: str
    match: str
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule} {self.match!r} in a {self.kind}: {self.text}"


def main(arguments: list[str]) -> int:
    """Print the report; 1 when the prose fails."""
    problems: list[Problem] = []
    counts: Counter[str] = Counter()
    for path in files_in([Path(name).absolute() for name in arguments] or [ROOT / name for name in (*FOLDERS, ".")]):
        texts = texts_of(path)
        counts.update(text.kind for text in texts)
        problems += problems_in(path.relative_to(ROOT).as_posix(), texts)
    for problem in problems:
        print(problem)
    words = sum(problem.rule == "forbidden" for problem in problems)
    openings = len(problems) - words
    blocks = counts["docstring"] + counts["comment"]
    rate = openings / blocks if blocks else 0.0
    print(f"{words} forbidden words; {openings} of {blocks} docstrings and comments ({rate:.1%}) open badly")
    return 1 if words or rate >= MOST_OPENINGS else 0


def files_in(places: Iterable[Path]) -> Iterator[Path]:
    """The files to read below these places; of the root itself only its own files. Links are not followed."""
    for place in places:
        inside = [place] if place.is_file() else place.glob("*") if place == ROOT else _below(place)
        for path in sorted(inside):
            if path.is_file() and path.suffix in ENDINGS and path.relative_to(ROOT).as_posix() not in UNREAD:
                yield path


def _below(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.is_symlink():
            continue
        if path.is_dir():
            yield from _below(path)
        else:
            yield path


def problems_in(path: str, texts: Iterable[Text]) -> Iterator[Problem]:
    """Yields every forbidden word and every bad opening of a file."""
    for text in texts:
        for match in _FORBIDDEN.finditer(text.text):
            line = text.line + text.text.count("\n", 0, match.start())
            yield Problem(path, line, text.kind, "forbidden", match[0], _around(text.text, match))
        if text.can_open_badly and (opening := _OPENING.match(text.text)):
            yield Problem(path, text.line, text.kind, "opening", opening[1], _around(text.text, opening))


def _around(text: str, match: re.Match[str]) -> str:
    end = text.find("\n", match.start())
    start = text.rfind("\n", 0, match.start()) + 1
    return text[start : end if end >= 0 else None].strip()[:100]


def texts_of(path: Path) -> list[Text]:
    """The prose of one file."""
    source = path.read_text()
    if path.suffix == ".md":
        return [Text("document", 1, source)]
    if path.suffix == ".lua":
        return list(lua_comments(source))
    return [*docstrings(source), *comments(source), *sentences(source), *names(source)]


def docstrings(source: str) -> Iterator[Text]:
    """Yields the docstrings, and the strings below attributes that document them."""
    for node in ast.walk(ast.parse(source)):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
                value = child.value.value
                if isinstance(value, str):
                    yield Text("docstring", child.lineno, value)


def comments(source: str) -> Iterator[Text]:
    """Yields comments; lines of their own that follow each other in one column are one comment."""
    block: list[str] = []
    start = last = column = -1
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        text = token.string.lstrip("#").strip()
        if _DIRECTIVE.match(text):
            continue
        line, at = token.start
        if block and (line, at) == (last + 1, column) and token.line.lstrip().startswith("#"):
            block.append(text)
        else:
            if block:
                yield Text("comment", start, "\n".join(block))
            block, start, column = [text], line, at
        last = line
    if block:
        yield Text("comment", start, "\n".join(block))


def sentences(source: str) -> Iterator[Text]:
    """Yields the strings that people read: log messages, sentences of errors, help of commands."""
    for node in ast.walk(ast.parse(source)):
        parts: list[ast.expr] = []
        kind = "sentence"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LOG_METHODS:
            parts, kind = list(node.args), "log message"
        elif isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            parts = list(node.exc.args)
        elif isinstance(node, ast.keyword) and node.arg == "help":
            parts = [node.value]
        for part in parts:
            for inner in ast.walk(part):
                if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
                    yield Text(kind, inner.lineno, inner.value)


def names(source: str) -> Iterator[Text]:
    """Yields every name of the code once, as words: `is_full_now` and `IsFullNow` are `is full now`."""
    seen: set[str] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.NAME and token.string not in seen:
            seen.add(token.string)
            yield Text("name", token.start[0], " ".join(_WORD_IN_NAME.findall(token.string)).lower())


def lua_comments(source: str) -> Iterator[Text]:
    """Yields Lua's comments; lines of their own that follow each other are one comment."""
    block: list[str] = []
    start = 0
    for number, line in enumerate([*source.splitlines(), ""], 1):
        own = re.match(r"\s*--\s?(.*)", line)
        if own:
            start = start if block else number
            block.append(own[1])
            continue
        if block:
            yield Text("comment", start, "\n".join(block))
            block = []
        if trailing := re.search(r"\s--\s?([^'\"]*)$", line):
            yield Text("comment", number, trailing[1])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
