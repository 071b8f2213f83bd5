import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from surehook.workers.handlers.source import source_fingerprint


def load(path: Path, source: str, name: str = "handle") -> Callable[..., Any]:
    path.write_text(source)
    names: dict[str, Any] = {"functools": functools}
    exec(compile(source, str(path), "exec"), names)  # noqa: S102 - as an import would
    found: Callable[..., Any] = names[name]
    return found


def test_a_change_of_the_file_changes_the_fingerprint(tmp_path: Path) -> None:
    path = tmp_path / "handlers.py"
    first = source_fingerprint(load(path, "def handle(event): ...\n"))

    assert first
    assert source_fingerprint(load(path, "def handle(event): return 1\n")) != first
    assert source_fingerprint(load(path, "def handle(event): ...\n")) == first


@pytest.mark.parametrize(
    "wrapped",
    [
        "def inner(event): ...\nhandle = functools.partial(inner)\n",
        "class Handler:\n    def __call__(self, event): ...\nhandle = Handler()\n",
        "def around(f): return functools.wraps(f)(lambda event: f(event))\n@around\ndef handle(event): ...\n",
    ],
    ids=["a partial", "an object", "a decorated function"],
)
def test_what_is_wrapped_has_the_fingerprint_of_its_file(wrapped: str, tmp_path: Path) -> None:
    plain = source_fingerprint(load(tmp_path / "a.py", f"{wrapped}def plain(event): ...\n", "plain"))

    assert source_fingerprint(load(tmp_path / "a.py", f"{wrapped}def plain(event): ...\n")) == plain != ""


@pytest.mark.parametrize("function", [print, len, functools.partial(print)])
def test_what_has_no_file_has_no_fingerprint(function: Callable[..., Any]) -> None:
    assert source_fingerprint(function) == ""


def test_a_file_that_is_gone_has_no_fingerprint(tmp_path: Path) -> None:
    function = load(tmp_path / "a.py", "def handle(event): ...\n")
    (tmp_path / "a.py").unlink()

    assert source_fingerprint(function) == ""
