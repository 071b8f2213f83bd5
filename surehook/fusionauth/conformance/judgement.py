"""Compares the answers with what the case needs."""

from collections.abc import Sequence
from dataclasses import dataclass

import httpx

from surehook.fusionauth.conformance.case import Case, Expected, Level
from surehook.fusionauth.conformance.exchange import Exchange
from surehook.shared.event_types import EVENT_TYPES

MOST_NAMED = 6
# A receiver may refuse a user on purpose. FusionAuth cannot tell such an answer from a failure (FACTS §14).
REFUSALS = (httpx.codes.CONFLICT, httpx.codes.UNPROCESSABLE_ENTITY)


@dataclass(frozen=True, slots=True)
class Judgement:
    """`wrong` is one sentence, empty for a case that passed; `exchanges` are the ones to show, the worst first."""

    level: Level
    wrong: str = ""
    exchanges: tuple[Exchange, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """A case and what it found."""

    case: Case
    judgement: Judgement

    @property
    def level(self) -> Level:
        return self.judgement.level


def judge(case: Case, exchanges: Sequence[Exchange]) -> Judgement:
    """Returns what a case's answers mean."""
    return _accepted(case, exchanges) if case.expected is Expected.ACCEPTED else _refused(case, exchanges)


def _accepted(case: Case, exchanges: Sequence[Exchange]) -> Judgement:
    bad = [each for each in exchanges if not each.is_accepted]
    if not bad:
        return Judgement(Level.OK, exchanges=tuple(exchanges))
    redirected = [each for each in bad if each.is_delivered]
    if redirected:
        wrong = f"{_named(redirected)} redirected, so FusionAuth's client comes back without the event."
        return Judgement(Level.LOSES_EVENTS, wrong, _worst_first(redirected, exchanges))
    deliberate = all(_is_refusal(each) for each in bad)
    level = Level.BLOCKS_USERS if deliberate and case.level is Level.LOSES_EVENTS else case.level
    return Judgement(level, f"{_named(bad)} not accepted.", _worst_first(bad, exchanges))


def _refused(case: Case, exchanges: Sequence[Exchange]) -> Judgement:
    bad = [each for each in exchanges if each.is_delivered]
    if bad:
        return Judgement(case.level, f"{_named(bad)} answered as delivered.", _worst_first(bad, exchanges))
    crashed = [each for each in exchanges if _is_crash(each)]
    if crashed:
        wrong = f"{_named(crashed)} refused with {crashed[0].response.status}: the receiver fails instead of refusing."
        return Judgement(Level.ODD, wrong, _worst_first(crashed, exchanges))
    return Judgement(Level.OK, exchanges=tuple(exchanges))


def _is_refusal(exchange: Exchange) -> bool:
    known = EVENT_TYPES.get(exchange.event_type)
    return known is not None and known.is_transactional and exchange.response.status in REFUSALS


def _is_crash(exchange: Exchange) -> bool:
    status = exchange.response.status
    return httpx.codes.is_server_error(status) and status != httpx.codes.SERVICE_UNAVAILABLE


def _named(exchanges: Sequence[Exchange]) -> str:
    names = list(dict.fromkeys(each.sent.rpartition(", ")[0].removeprefix("POST ") for each in exchanges))
    shown = ", ".join(names[:MOST_NAMED])
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return f"{shown}{more} {'was' if len(names) == 1 else 'were'}"


def _worst_first(bad: Sequence[Exchange], all_of_them: Sequence[Exchange]) -> tuple[Exchange, ...]:
    return (*bad, *(each for each in all_of_them if each not in bad))
