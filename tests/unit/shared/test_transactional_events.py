import pytest

from harness.events import TENANT_ID, USER_ID
from surehook.shared.errors import Misconfigured
from surehook.shared.event_types import EVENT_TYPES
from surehook.shared.settings import load_settings
from surehook.shared.transactional_events import transactional_types


def test_a_type_is_for_all_tenants_and_an_entry_with_a_tenant_for_that_one() -> None:
    types = transactional_types(["user.create", f"{TENANT_ID.upper()}:user.delete"])

    assert types.include("user.create", TENANT_ID)
    assert types.include("user.create", "")
    assert types.include("user.delete", TENANT_ID)
    assert not types.include("user.delete", USER_ID)
    assert not types.include("user.update", TENANT_ID)
    assert str(types) == f"{TENANT_ID}:user.delete,user.create"


@pytest.mark.parametrize("name", [name for name, each in EVENT_TYPES.items() if not each.is_transactional])
def test_a_type_that_fusionauth_does_not_wait_for_is_refused_with_the_reason(name: str) -> None:
    with pytest.raises(Misconfigured, match=r"after the commit|ignores responses"):
        transactional_types([name])


def test_a_type_that_fusionauth_waits_for_is_accepted() -> None:
    waits = [name for name, each in EVENT_TYPES.items() if each.is_transactional]

    assert len(waits) == 32
    assert transactional_types(waits).types == set(waits)


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        pytest.param("user.creat", "did you mean user.create", id="typing mistake"),
        pytest.param("user.create.complete", "use user.create", id="after the commit"),
        pytest.param("acme:user.create", "a tenant's id, a colon and a type", id="tenant by name"),
        pytest.param("*", "no event type", id="a pattern"),
    ],
)
def test_an_error_in_the_setting_is_explained(entry: str, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUREHOOK_TRANSACTIONAL_EVENTS", f"user.update, {entry}")

    with pytest.raises(Misconfigured, match=says) as failure:
        load_settings()

    assert str(failure.value).startswith("SUREHOOK_TRANSACTIONAL_EVENTS")
