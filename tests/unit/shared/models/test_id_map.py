"""Maps keyed by id are read by an id's text and by its UUID."""

import copy
import pickle
from typing import Any
from uuid import UUID

import pytest

from harness.events import TENANT_ID, USER_ID, a_body, an_event
from surehook.shared.models import event_from

TOKENS = {"applicationTimeToLiveInSeconds": {TENANT_ID: 900}}


@pytest.mark.parametrize("key", [TENANT_ID, TENANT_ID.upper(), f"{{{TENANT_ID}}}", UUID(TENANT_ID)], ids=repr)
@pytest.mark.parametrize("misfit", [{}, {"user": {"birthDate": 7}}], ids=["typed", "plain"])
@pytest.mark.parametrize("event_type", ["jwt.refresh-token.revoke", "brand.new"])
def test_a_map_by_id_answers_to_the_text_and_to_the_uuid(event_type: str, misfit: dict[str, Any], key: Any) -> None:
    event: Any = event_from(USER_ID, a_body(an_event(event_type, **TOKENS, **misfit)))
    for tokens in (event.application_time_to_live_in_seconds, event["applicationTimeToLiveInSeconds"]):
        same = pickle.loads(pickle.dumps(tokens))  # noqa: S301 - our own bytes
        for each in (tokens, same, copy.deepcopy(tokens)):
            assert each[key] == each.get(key) == each.get(key, 1) == 900
            assert key in each
            assert [str(name) for name in each] == [TENANT_ID]


@pytest.mark.parametrize("key", [USER_ID, UUID(USER_ID), "no id", "", None, 7], ids=repr)
@pytest.mark.parametrize("event_type", ["jwt.refresh-token.revoke", "brand.new"])
def test_a_map_by_id_knows_what_it_lacks(event_type: str, key: Any) -> None:
    tokens: Any = event_from(USER_ID, a_body(an_event(event_type, **TOKENS)))["applicationTimeToLiveInSeconds"]

    assert (key in tokens, tokens.get(key), tokens.get(key, 5)) == (False, None, 5)
    with pytest.raises(KeyError):
        tokens[key]
