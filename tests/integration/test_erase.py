"""`surehook events erase` leaves nothing of a user, whatever state the events were in."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import redis
from cryptography.fernet import Fernet
from pydantic import SecretStr

from harness.events import USER_ID
from surehook.admin.erasure import Erasure
from surehook.shared.encryption import BodyCipher, fingerprint
from surehook.shared.errors import NotFound, SurehookError
from surehook.shared.stats import StatsReader
from tests.integration.conftest import KEYS, Accept, Erase
from tests.integration.test_leases import an_attempt
from tests.support.claiming import SingleClaims
from tests.support.ledger import ledger
from tests.support.store_dump import assert_erased

OTHER_ID = "11111111-2222-4333-8444-555555555555"
FAN = [("one", "events", 30.0), ("two", "other", 30.0)]


def leave_waiting(claims: SingleClaims) -> None: ...


def leave_scheduled(claims: SingleClaims) -> None:
    claims.retry(claims.claim(), an_attempt(), "tb", delay_seconds=60, spends_retry=True)  # type: ignore[arg-type]


def leave_dead(claims: SingleClaims) -> None:
    claims.bury(claims.claim(), an_attempt(), "tb")  # type: ignore[arg-type]


def leave_split(claims: SingleClaims) -> None:
    claims.fan_out(claims.claim(), FAN)  # type: ignore[arg-type]


def leave_half_done(claims: SingleClaims) -> None:
    leave_split(claims)
    claims.finish(claims.claim(), "done", an_attempt())  # type: ignore[arg-type]


def leave_closed(claims: SingleClaims) -> None:
    claims.finish(claims.claim(), "done", an_attempt())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("leave", "expected"),
    [
        pytest.param(leave_waiting, {"open": 0, "accepted": 1, "erased": 1}, id="waiting"),
        pytest.param(leave_scheduled, {"open": 0, "accepted": 1, "erased": 1}, id="scheduled"),
        pytest.param(leave_dead, {"open": 0, "accepted": 1, "erased": 1}, id="dead"),
        pytest.param(leave_split, {"open": 0, "accepted": 1, "erased": 1}, id="split"),
        pytest.param(leave_half_done, {"open": 0, "accepted": 1, "erased": 1}, id="half done"),
        pytest.param(leave_closed, {"open": 0, "accepted": 1, "done": 1}, id="closed"),
    ],
)
def test_erase_removes_the_body_attempts_and_jobs_of_an_event(
    leave: Callable[[SingleClaims], None], expected: dict[str, int], accept: Accept, claims_of: Any, erase: Erase,
    look: Any, store: redis.Redis,
) -> None:  # fmt: skip
    event_id = accept()
    leave(claims_of())

    status, output = erase()

    assert (status, output.split(",")[0]) == (0, "1 events erased")
    assert_erased(store, event_id)
    assert ledger(store) == expected
    assert claims_of().claim() is None
    assert look() == []
    assert StatsReader(store, KEYS).read().imbalance == 0
    assert erase()[1] == "0 events erased, 0 attempts, 0 dead letters\n"


def test_it_says_what_it_removed(accept: Accept, claims_of: Any, erase: Erase) -> None:
    accept()
    leave_dead(claims_of())
    accept()

    assert erase()[1] == "2 events erased, 1 attempts, 1 dead letters\n"


def test_a_second_copy_does_not_bring_the_data_back(accept: Accept, erase: Erase, store: redis.Redis) -> None:
    event_id = accept()
    erase()

    accept(id=event_id)

    assert_erased(store, event_id)
    assert store.llen("rq:queue:events") == 0


def test_erase_keeps_other_users_events_and_lists_those_that_mention_the_user(
    accept: Accept, erase: Erase, store: redis.Redis
) -> None:
    own = accept()
    other = accept(user={"id": OTHER_ID})
    naming = accept("user.bulk.create", user=None, users=[{"id": USER_ID.upper()}, {"id": OTHER_ID}])

    output = erase()[1]

    assert_erased(store, own)
    assert output.splitlines()[1:] == [
        f"1 events of other users mention this user and stay (erase them by id): {naming}",
    ]
    assert store.hexists(f"surehook:event:{other}", "body")
    assert erase(naming)[1].startswith("1 events erased")
    assert_erased(store, naming)


def test_erase_searches_encrypted_bodies_with_the_configured_keys(
    accept: Accept, erase: Erase, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, elsewhere = (Fernet.generate_key().decode() for _ in range(2))
    naming = accept("group.member.add", BodyCipher([SecretStr(here)]), user=None, members=[{"userId": USER_ID}])
    accept("group.member.add", BodyCipher([SecretStr(elsewhere)]), user=None, members=[{"userId": USER_ID}])
    monkeypatch.setenv("SUREHOOK_ENCRYPTION_KEYS", here)

    output = erase("--user", USER_ID, "--json")[1]

    facts = json.loads(output)
    assert facts["mentions"] == [naming]
    assert facts["unreadable"] == {fingerprint(elsewhere): 1}


def test_a_dry_run_changes_nothing(accept: Accept, erase: Erase, store: redis.Redis) -> None:
    event_id = accept()
    before = store.dump(f"surehook:event:{event_id}")

    assert erase("--user", USER_ID.upper(), "--dry-run") == (0, "1 events would be erased\n")

    assert store.dump(f"surehook:event:{event_id}") == before
    assert store.llen("rq:queue:events") == 1


@pytest.mark.parametrize(
    "arguments",
    [["--dry-run"], ["--user", "mara"], [USER_ID[:8]], [USER_ID, "--user", USER_ID]],
    ids=["nothing", "no UUID", "part of an id", "both"],
)
def test_erase_requires_a_full_id(arguments: list[str], erase: Erase) -> None:
    assert erase(*arguments)[0] == 2


def test_an_id_that_is_not_there_is_not_found(erase: Erase) -> None:
    with pytest.raises(Exception, match="there is no event"):
        erase(OTHER_ID)


def test_the_other_ids_are_erased_where_one_is_not_there(accept: Accept, erase: Erase, store: redis.Redis) -> None:
    first, last = accept(), accept()

    with pytest.raises(NotFound, match=OTHER_ID):
        erase(first, OTHER_ID, last)

    assert_erased(store, first)
    assert_erased(store, last)


def test_an_erasure_that_events_outrun_is_not_called_complete(
    accept: Accept, erase: Erase, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_scan = Erasure.scan

    def scan(self: Erasure, *arguments: Any, **options: Any) -> Any:
        yield from real_scan(self, *arguments, **options)
        accept()

    monkeypatch.setattr(Erasure, "scan", scan)
    accept()

    with pytest.raises(SurehookError, match="still arrive"):
        erase()


def test_an_event_accepted_during_the_search_is_found_too(
    accept: Accept, erase: Erase, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept()
    late: list[str] = []
    real_scan = Erasure.scan

    def scan(self: Erasure, *arguments: Any, **options: Any) -> Any:
        yield from real_scan(self, *arguments, **options)
        if not late:
            late.append(accept())

    monkeypatch.setattr(Erasure, "scan", scan)

    assert erase()[1].startswith("2 events erased")
    assert_erased(store, late[0])


def test_a_run_that_was_killed_half_way_is_finished_by_the_next(
    accept: Accept, erase: Erase, store: redis.Redis
) -> None:
    event_ids = [accept() for _ in range(5)]
    half = Erasure(store, KEYS, BodyCipher(), retention_seconds=86_400)
    assert half.erase(event_ids[0], OTHER_ID).outcome == "gone"  # it belongs to another user
    assert [half.erase(event_id, USER_ID).outcome for event_id in event_ids[:2]] == ["erased"] * 2

    assert erase()[1].startswith("3 events erased")

    for event_id in event_ids:
        assert_erased(store, event_id)
