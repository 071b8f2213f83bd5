"""A proxy between FusionAuth and the endpoint that loses events is found by requests that store nothing."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import pytest
import redis

from harness.stack import free_port
from surehook.fusionauth.doctor.endpoint import endpoint_findings
from surehook.fusionauth.doctor.findings import Level
from surehook.shared.settings import Settings
from tests.integration.conftest import KEYS
from tests.support.served_endpoint import Misbehave, proxy_before, served_endpoint

SECRETS = ("a-secret-for-tests-only-0123456789abcdef",)
NOW = datetime(2026, 11, 1, tzinfo=UTC)
Examine = Callable[..., dict[str, Level]]


@pytest.fixture(scope="module")
def served(data_dir: Any) -> Iterator[Settings]:
    """An endpoint that requires a key and a signature."""
    given = {"api_keys": ("a-key-for-tests-only",), "signing_secrets": SECRETS, "max_body_bytes": 4_000_000}
    bind = {"bind": f"127.0.0.1:{free_port()}", "data_dir": data_dir, "spool_dir": "off"}
    settings = Settings.model_validate(given | bind)
    with served_endpoint(settings):
        yield settings


@pytest.fixture
def examine(served: Settings, store: redis.Redis) -> Iterator[Examine]:
    """Examines through a proxy, and gives the level of each check."""
    with ExitStack() as stack:

        def examine(misbehave: Misbehave = lambda *_: False, **changes: Any) -> dict[str, Level]:
            target = f"http://{served.bind}{served.webhook_path}"
            url = stack.enter_context(proxy_before(target, misbehave))
            settings = served.model_copy(update=changes)
            found = list(endpoint_findings(settings, url, NOW, is_own=False))
            assert SECRETS[0] not in repr(found)
            return {each.check: each.level for each in found}

        yield examine
        assert store.zcard(KEYS.open) == 0


def test_a_faithful_proxy_is_fine(examine: Examine) -> None:
    assert examine() == {"endpoint": Level.OK, "bodies": Level.OK}


def redirects(handler: Any, _: bytes) -> bool:
    handler.answer(301, Location="/elsewhere?key=x")
    return True


def limits_bodies(handler: Any, body: bytes) -> bool:
    if len(body) <= 1_000_000:
        return False
    handler.answer(413, b"<html>413 Request Entity Too Large</html>")
    return True


def cuts_bodies(handler: Any, body: bytes) -> bool:
    handler.body = body[:1_000_000]
    return False


def changes_bodies(handler: Any, body: bytes) -> bool:
    handler.body = body.replace(b'":', b'": ')
    return False


def removes_header(handler: Any, _: bytes) -> bool:
    handler.forwarded.pop("Authorization", None)
    handler.forwarded.pop("authorization", None)
    return False


def answers_itself(handler: Any, _: bytes) -> bool:
    handler.answer(200, b"welcome")
    return True


@pytest.mark.parametrize(
    ("misbehave", "check"),
    [
        pytest.param(redirects, "redirect", id="redirects"),
        pytest.param(limits_bodies, "bodies", id="a limit of a megabyte"),
        pytest.param(cuts_bodies, "credentials", id="cuts signed bodies"),
        pytest.param(changes_bodies, "credentials", id="writes JSON anew"),
        pytest.param(removes_header, "credentials", id="removes Authorization"),
        pytest.param(answers_itself, "endpoint", id="answers itself"),
    ],
)
def test_a_proxy_that_loses_events_is_found(misbehave: Misbehave, check: str, examine: Examine) -> None:
    assert examine(misbehave)[check] is Level.LOSES_EVENTS


def test_another_path_is_found(served: Settings, examine: Examine) -> None:
    found = list(endpoint_findings(served, f"http://{served.bind}/webhook", NOW, is_own=True))

    assert [(each.level, "404" in each.wrong) for each in found] == [(Level.LOSES_EVENTS, True)]


def test_a_running_endpoint_with_other_keys_is_found(examine: Examine) -> None:
    changed = Settings.model_validate({"api_keys": ("another-key-for-tests",)})

    assert examine(api_keys=changed.api_keys)["credentials"] is Level.LOSES_EVENTS


def test_bodies_that_only_fusionauth_can_sign_are_not_judged(examine: Examine) -> None:
    found = examine(signing_secrets=(), jwks_url="https://localhost:1/jwks.json")

    assert found == {"endpoint": Level.OK, "bodies": Level.OK}
    assert examine(limits_bodies, signing_secrets=(), jwks_url="https://localhost:1/jwks.json")["bodies"] is (
        Level.LOSES_EVENTS
    )


def test_an_address_that_does_not_answer_is_found(served: Settings) -> None:
    found = [
        each.level
        for is_own in (True, False)
        for each in endpoint_findings(served, "http://user:word@127.0.0.1:1/hook?key=x", NOW, is_own=is_own)
        if "word" not in each.wrong
    ]

    assert found == [Level.LOSES_EVENTS, Level.ODD]
