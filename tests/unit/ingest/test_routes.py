import pytest

from surehook.ingest.routes import spellings


@pytest.mark.parametrize(
    ("path", "accepted"),
    [
        ("/hook", {"/hook", "/hook/"}),
        ("/hook/", {"/hook", "/hook/"}),
        ("/", {"/"}),
        ("/a/b", {"/a/b", "/a/b/"}),
    ],
)
def test_a_path_is_accepted_with_and_without_a_slash_at_its_end(path: str, accepted: set[str]) -> None:
    assert set(spellings(path)) == accepted
