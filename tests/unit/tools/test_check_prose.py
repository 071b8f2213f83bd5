"""The prose check finds what it is for, and nothing else."""

from collections.abc import Callable, Iterator

import pytest

from tools.check_prose import Text, comments, docstrings, lua_comments, names, problems_in, sentences


def found(texts: Iterator[Text], path: str = "a.py") -> list[tuple[int, str, str]]:
    return [(problem.line, problem.rule, problem.match) for problem in problems_in(path, texts)]


@pytest.mark.parametrize(
    ("read", "source", "expected"),
    [
        pytest.param(docstrings, '"""First.\n\nNobody reads."""', [(3, "forbidden", "Nobody")], id="docstring"),
        pytest.param(docstrings, 'def f():\n    """What it is."""', [(2, "opening", "What")], id="opening"),
        pytest.param(
            docstrings, 'class A:\n    x: int\n    """One that is."""', [(3, "opening", "One that")], id="field"
        ),
        pytest.param(comments, "# A\n# crew of two\nx = 1", [(2, "forbidden", "crew")], id="second line of a comment"),
        pytest.param(comments, "x = 1  # who it is", [(1, "opening", "who")], id="trailing comment"),
        pytest.param(comments, "# Fine\n# what goes on", [], id="one comment of two lines opens once"),
        pytest.param(comments, "x = 1  # noqa: E501 - what", [], id="directive"),
        pytest.param(sentences, 'log.info("the door is shut")', [(1, "forbidden", "door")], id="log message"),
        pytest.param(sentences, 'raise ValueError(f"{x} once more")', [(1, "forbidden", "once more")], id="error"),
        pytest.param(sentences, 'option("-a", help="All the same.")', [(1, "forbidden", "All the same")], id="help"),
        pytest.param(sentences, 'x = "door"', [], id="data is no prose"),
        pytest.param(names, "def test_nobody_waits(): ...", [(1, "forbidden", "nobody")], id="test function"),
        pytest.param(names, "x = OwnDoor()", [(1, "forbidden", "door")], id="class"),
        pytest.param(names, "doorway = indoors", [], id="part of a word"),
        pytest.param(
            lua_comments,
            "x = 1\n-- So many\n-- of them",
            [(2, "forbidden", "So many"), (2, "opening", "So many")],
            id="Lua",
        ),
        pytest.param(lua_comments, "x = 1 -- nobody", [(1, "forbidden", "nobody")], id="trailing Lua comment"),
    ],
)
def test_it_reports(read: Callable[[str], Iterator[Text]], source: str, expected: list[tuple[int, str, str]]) -> None:
    assert found(read(source)) == expected
