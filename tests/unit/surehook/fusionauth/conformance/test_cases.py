"""The cases are complete, and each names its source."""

import re

from surehook.fusionauth.conformance.case import Need
from surehook.fusionauth.conformance.cases import CASES
from surehook.fusionauth.conformance.proof import PROOFS


def test_every_case_has_an_id_a_sentence_and_a_source() -> None:
    every = (*CASES, *PROOFS)

    assert len({case.id for case in every}) == len(every) > 60
    for case in every:
        assert re.fullmatch(r"[a-z-]+\.[a-z0-9-]+", case.id), case.id
        assert re.fullmatch(r"[A-Z].*\.", case.title), case.id
        assert re.fullmatch(r"§\d+(, §\d+)*", case.facts), case.id
        assert re.fullmatch(r"https://(fusionauth\.io/docs|github\.com)/\S+", case.url), case.id


def test_every_need_keeps_a_case_from_being_tried() -> None:
    assert {need for case in (*CASES, *PROOFS) for need in case.needs} == set(Need)
