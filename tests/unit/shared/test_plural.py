"""Sentences with numbers are English for one thing too."""

import pytest

from surehook.shared.plural import counted


@pytest.mark.parametrize(("count", "text"), [(0, "0 cases"), (1, "1 case"), (2, "2 cases"), (1200, "1,200 cases")])
def test_a_number_has_the_words_that_fit_it(count: int, text: str) -> None:
    assert counted(count, "case", "cases") == text
