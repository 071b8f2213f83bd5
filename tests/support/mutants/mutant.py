"""A mutant: one change of a script that the named tests must notice."""

from typing import NamedTuple


class Mutant(NamedTuple):
    """Replaces `before`, which the script contains once, by `after`."""

    name: str
    script: str
    before: str
    after: str
    tests: str
