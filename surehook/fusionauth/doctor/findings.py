"""A finding: what is wrong, what it means, and the place to change it."""

from dataclasses import dataclass
from enum import Enum


class Level(Enum):
    """How bad a finding is, the worst first."""

    LOSES_EVENTS = "loses events"
    BLOCKS_USERS = "blocks users"
    ODD = "odd"
    OK = "ok"

    @property
    def is_serious(self) -> bool:
        return self in {Level.LOSES_EVENTS, Level.BLOCKS_USERS}


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check. It never holds a secret."""

    level: Level
    check: str
    """The name of the check, for other programs."""
    wrong: str
    """One sentence; for a check that passed, what was found."""
    means: str = ""
    """The effect on events and on FusionAuth's users."""
    change: str = ""
    """A setting, a page and field of FusionAuth's admin UI, or a path of its API."""


@dataclass(frozen=True, slots=True)
class Group:
    """Findings of one subject."""

    title: str
    findings: tuple[Finding, ...]


def loses(check: str, wrong: str, means: str, change: str) -> Finding:
    return Finding(Level.LOSES_EVENTS, check, wrong, means, change)


def blocks(check: str, wrong: str, means: str, change: str) -> Finding:
    return Finding(Level.BLOCKS_USERS, check, wrong, means, change)


def odd(check: str, wrong: str, means: str, change: str) -> Finding:
    return Finding(Level.ODD, check, wrong, means, change)


def fine(check: str, found: str) -> Finding:
    return Finding(Level.OK, check, found)
