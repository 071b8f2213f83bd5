"""Each mistake in FusionAuth's configuration is a finding that says what to change there."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from surehook.fusionauth.client import FusionAuthClient
from surehook.fusionauth.doctor.examination import Examination
from surehook.fusionauth.doctor.findings import Level
from surehook.fusionauth.doctor.outage import NOTHING, SLOWER
from surehook.fusionauth.simulator.quirks import Version
from surehook.fusionauth.simulator.server import ApiServer
from surehook.shared.settings import Settings
from surehook.workers.handlers.registry import on
from tests.support.fusionauth_mistakes import (
    OTHER_KEY,
    expires,
    handler_of_other_tenant,
    jwks_is_another,
    key_is_gone,
    key_is_pinned_otherwise,
    leads_elsewhere,
    logged,
    outvoted,
    retain,
    transactional,
    two_tenants,
    use_basic_beside,
    want_entities_of_an_old_version,
    with_other_webhook,
    without_log,
)
from tests.support.fusionauth_world import SECRET, URL, World, ignore
from tests.support.simulated_fusionauth import (
    GLOBAL_KEY,
    NOW,
    TENANT_KEY,
)


@pytest.fixture
def world() -> World:
    return World()


Examine = Callable[[], tuple[Examination, dict[str, Level]]]


@pytest.fixture
def examine(world: World, tmp_path: Path) -> Iterator[Examine]:
    on("user.create", "user.create.complete", name="welcome")(ignore)
    with ExitStack() as stack:

        def examine() -> tuple[Examination, dict[str, Level]]:
            if not world.hook_id and world.hook:
                world.save()
            server = stack.enter_context(ApiServer(world.instance))
            client = stack.enter_context(FusionAuthClient(server.url, world.api_key, sleep=lambda _: None))
            now = datetime.fromtimestamp(NOW / 1000, UTC)
            settings = Settings.model_validate(world.settings | {"spool_dir": str(tmp_path / "spool")})
            examination = Examination(settings, tmp_path, now, client=client)
            findings = [each for group in examination.groups() for each in group.findings]
            for secret in (SECRET, OTHER_KEY, GLOBAL_KEY, TENANT_KEY):
                assert secret not in repr(findings)
            assert all(each.means and each.change for each in findings if each.level is not Level.OK)
            order = list(Level)
            worst = sorted(findings, key=lambda each: order.index(each.level), reverse=True)
            return examination, {each.check: each.level for each in worst}

        yield examine


OURS = {"fusionauth", "event-log", "webhook", "webhook-credentials", "tenants", "types", "signing", "deliveries"}


def test_a_sound_fusionauth_has_no_findings_but_its_signature(world: World, examine: Examine) -> None:
    world.save()
    world.log(202)

    _, found = examine()

    assert {check for check in OURS & set(found) if found[check] is not Level.OK} == {"signing"}
    assert OURS - {"tenants"} <= set(found)


@pytest.mark.parametrize(
    ("change", "check", "level"),
    [
        pytest.param(lambda w: setattr(w, "api_key", TENANT_KEY), "api-key", Level.LOSES_EVENTS, id="tenant's key"),
        pytest.param(leads_elsewhere, "webhook", Level.LOSES_EVENTS, id="no webhook"),
        pytest.param(lambda w: w.instance.save_webhook(w.hook), "webhook-twice", Level.ODD, id="two webhooks"),
        pytest.param(
            lambda w: w.hook.update(headers={"Authorization": OTHER_KEY}),
            "webhook-credentials",
            Level.LOSES_EVENTS,
            id="key",
        ),
        pytest.param(use_basic_beside, "webhook-credentials", Level.LOSES_EVENTS, id="two Authorization lines"),
        pytest.param(
            lambda w: w.settings.update(required_header=("X-Team: orchard",)),
            "webhook-credentials",
            Level.LOSES_EVENTS,
            id="no required header",
        ),
        pytest.param(lambda w: w.hook.update(url=f"{URL}/"), "webhook-path", Level.LOSES_EVENTS, id="a slash too many"),
        pytest.param(lambda w: setattr(w.instance, "now_ms", lambda: NOW + 7_200_000), "fusionauth-clock", Level.ODD,
                     id="another clock"),
        pytest.param(lambda w: w.hook.update({"global": False}), "tenants", Level.LOSES_EVENTS, id="not bound"),
        pytest.param(two_tenants, "tenants", Level.ODD, id="one tenant is not bound"),
        pytest.param(handler_of_other_tenant, "tenants", Level.LOSES_EVENTS, id="a handler's tenant is not bound"),
        pytest.param(lambda w: w.hook.update(url=f"{URL}?key=x"), "webhook-url", Level.ODD, id="secret in the URL"),
        pytest.param(
            lambda w: w.hook.update(url="http://127.0.0.2:9/fusionauth-webhook"),
            "webhook-tls",
            Level.ODD,
            id="no TLS",
        ),
        pytest.param(lambda w: w.hook["eventsEnabled"].clear(), "types-webhook", Level.LOSES_EVENTS, id="off there"),
        pytest.param(
            lambda w: w.tenant(**{"user.create": {"enabled": False}}),
            "types-tenant",
            Level.LOSES_EVENTS,
            id="tenant off",
        ),
        pytest.param(
            lambda w: w.hook["eventsEnabled"].update({"audit-log.create": True}),
            "types-unwanted",
            Level.ODD,
            id="unwanted",
        ),
        pytest.param(
            lambda w: w.hook["eventsEnabled"].update({"event-log.create": True}), "event-log-loop", Level.ODD, id="loop"
        ),
        pytest.param(lambda w: on("group.*", name="groups")(ignore), "types-pattern", Level.ODD, id="a pattern"),
        pytest.param(
            want_entities_of_an_old_version,
            "types-unknown",
            Level.ODD,
            id="an old version",
        ),
        pytest.param(without_log, "event-log", Level.LOSES_EVENTS, id="log off"),
        pytest.param(lambda w: w.instance.configure(retain(2)), "event-log", Level.ODD, id="log short"),
        pytest.param(
            lambda w: setattr(w.instance, "version", Version("1.47.0")),
            "fusionauth-version",
            Level.ODD,
            id="no signature",
        ),
        pytest.param(
            lambda w: w.instance.integrations["kafka"].update(enabled=True), "kafka", Level.ODD, id="Kafka"
        ),
        pytest.param(
            lambda w: w.settings.update(signing_secrets=(OTHER_KEY,)), "signing", Level.LOSES_EVENTS, id="does not sign"
        ),
        pytest.param(lambda w: w.sign(), "signing", Level.ODD, id="not verified"),
        pytest.param(
            lambda w: (w.sign(), w.settings.update(signing_secrets=(OTHER_KEY,))),
            "signing-key",
            Level.LOSES_EVENTS,
            id="another kind of key",
        ),
        pytest.param(jwks_is_another, "jwks", Level.LOSES_EVENTS, id="no JWKS"),
        pytest.param(key_is_pinned_otherwise, "signing-key", Level.LOSES_EVENTS, id="pinned otherwise"),
        pytest.param(key_is_gone, "signing-key", Level.LOSES_EVENTS, id="key is gone"),
        pytest.param(expires, "signing-key-expiry", Level.ODD, id="key expires"),
        pytest.param(transactional, "transaction-ignored", Level.LOSES_EVENTS, id="None ignores a no"),
        pytest.param(
            outvoted,
            "transaction-outvoted",
            Level.ODD,
            id="outvoted",
        ),
        pytest.param(lambda w: w.tenant("Any"), "transaction-extra", Level.ODD, id="waits for no one"),
        pytest.param(logged(-1), "deliveries", Level.LOSES_EVENTS, id="a delivery failed"),
        pytest.param(logged(422, result=False), "deliveries", Level.OK, id="a refusal"),
        pytest.param(logged(-1, 202), "deliveries", Level.OK, id="sent again"),
        pytest.param(logged(503, result=False), "rolled-back", Level.BLOCKS_USERS, id="rolled back"),
        pytest.param(logged(202, took_ms=1500), "slow-deliveries", Level.ODD, id="slow"),
        pytest.param(lambda w: w.hook.update(readTimeout=500), "store-timeout", Level.ODD, id="short timeout"),
    ],
)  # fmt: skip
def test_a_mistake_in_fusionauth_is_found(
    change: Callable[[World], Any], check: str, level: Level, world: World, examine: Examine
) -> None:
    change(world)

    _, found = examine()

    assert found[check] is level


def test_a_published_key_and_a_key_file_are_recognised(world: World, examine: Examine, tmp_path: Path) -> None:
    made = world.sign("ES256")
    key_file = tmp_path / "key.pem"
    key_file.write_text(made.json["publicKey"])
    world.settings |= {"signing_public_keys": (str(key_file),)}
    _, with_file = examine()
    world.settings.pop("signing_public_keys")
    with ApiServer(world.instance) as server:
        world.settings |= {"jwks_url": f"{server.url}/.well-known/jwks.json"}
        _, with_jwks = examine()

    assert (with_file["signing-key"], with_jwks["signing-key"]) == (Level.OK, Level.OK)


def test_users_notice_an_outage_as_their_tenants_settings_say(world: World, examine: Examine) -> None:
    world.tenant("AbsoluteMajority")
    alone = {each.event_type: each for each in examine()[0].outages()}
    world.tenant("Any")
    with_other_webhook(world)
    both = {each.event_type: each for each in examine()[0].outages()}

    assert (alone["user.create"].users, alone["user.create"].blocks) == ("cannot register or be created", True)
    assert alone["user.create.complete"].users == NOTHING
    assert (both["user.create"].users, both["user.create"].blocks) == (SLOWER, False)


def test_a_busy_log_is_read_for_a_shorter_period(
    world: World, examine: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("surehook.fusionauth.doctor.deliveries.MOST_ENTRIES", 3)
    monkeypatch.setattr("surehook.fusionauth.doctor.deliveries.PAGE", 2)
    world.save()
    for _ in range(5):
        world.log(202)
    _, found = examine()

    assert found["deliveries"] is Level.OK
