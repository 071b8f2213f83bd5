"""`surehook connect` sets an installation up, once, and says how to undo it without showing a secret."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from harness.stack import free_port
from surehook.fusionauth import client, transport
from surehook.fusionauth.connection import proof
from surehook.fusionauth.sample_parts import TENANT_ID
from surehook.fusionauth.simulator.delivery import Deliverer
from surehook.fusionauth.simulator.instance import Instance, system_clock
from surehook.fusionauth.simulator.quirks import Version
from surehook.fusionauth.simulator.server import ApiServer
from surehook.shared import sources
from surehook.shared.settings import Settings, load_settings
from surehook.workers.handlers.registry import on
from tests.integration.conftest import KEYS
from tests.support.command import Surehook, command_on
from tests.support.fusionauth_world import SECRET, URL, ignore
from tests.support.served_endpoint import served_endpoint
from tests.support.simulated_fusionauth import GLOBAL_KEY, a_webhook, an_event, an_installation

OTHER = "another-planted-key-0123456789abcdefg"


class Setting:
    """An installation without a webhook, and the command on it."""

    def __init__(self, surehook: Surehook, instance: Instance, url: str) -> None:
        self.surehook, self.instance, self.url, self.output = surehook, instance, url, ""

    def connect(self, *options: str) -> tuple[int, str]:
        status, output = self.surehook("connect", *options)
        self.output += output
        return status, output

    @property
    def hook(self) -> dict[str, Any]:
        (hook,) = self.instance.webhooks.values()
        return hook

    def state(self) -> str:
        """The records, without their instants."""
        records = [
            self.instance.webhooks,
            self.instance.tenants,
            {each: key.json for each, key in self.instance.keys.items()},
        ]
        text = json.dumps([records, self.instance.system_configuration], sort_keys=True)
        return "\n".join(part for part in text.split(", ") if '"lastUpdateInstant"' not in part)


@pytest.fixture
def setting(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Setting]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sources, "ENV_FILE", tmp_path / ".env")
    on("user.create", "user.create.complete", name="welcome")(ignore)
    instance = an_installation()
    instance.now_ms = system_clock
    instance.configure({"webhookEventLogConfiguration": {"enabled": False}})
    instance.save_tenant({"name": "Orchard", "eventConfiguration": {"events": {}}}, TENANT_ID)
    with ApiServer(instance) as server:
        for name, value in (
            ("API_KEYS", SECRET),
            ("HANDLERS", "json"),
            ("BIND", f"127.0.0.1:{free_port()}"),
            ("FUSIONAUTH_URL", server.url),
            ("FUSIONAUTH_API_KEY", GLOBAL_KEY),
            ("SPOOL_DIR", "off"),
        ):
            monkeypatch.setenv(f"SUREHOOK_{name}", value)
        made = Setting(command_on(settings, monkeypatch), instance, server.url)
        yield made
    for secret in (SECRET, OTHER, GLOBAL_KEY):
        assert secret not in made.output


def test_an_empty_fusionauth_is_set_up_once_and_signs_what_we_verify(setting: Setting, store: redis.Redis) -> None:
    status, output = setting.connect("--yes")
    again = setting.connect("--yes")

    assert status == 0, output
    assert "Nothing to do" in again[1]
    assert len(setting.instance.webhooks) == len(setting.instance.keys) == 1
    assert setting.instance.is_logging
    with served_endpoint(load_settings()), ExitStack() as stack:
        deliverer = Deliverer(setting.instance)
        stack.callback(deliverer.close)
        fired = deliverer.fire(an_event(7))
    assert [attempt.response.status for attempt in fired.attempts] == [202]
    assert store.zcard(KEYS.open) == 1


def test_the_printed_undo_undoes_it(setting: Setting) -> None:
    before = setting.state()
    _, output = setting.connect("--yes")
    changed = setting.state()
    lines = [line.split(" ", 2) for line in map(str.strip, output.splitlines()) if line.startswith(("DELETE", "PATCH"))]
    for method, path, *body in lines:
        headers = {"Authorization": GLOBAL_KEY}
        answer = httpx.request(
            method, setting.url + path, headers=headers, json=json.loads(body[0]) if body else None, trust_env=False
        )
        assert answer.is_success, (method, path)

    assert changed != before
    assert (len(setting.instance.webhooks), len(setting.instance.keys)) == (0, 0)
    assert not setting.instance.is_logging
    assert setting.instance.receivers("user.create", TENANT_ID) == []


def test_a_webhook_of_ours_is_adjusted_and_keeps_what_else_it_has(setting: Setting) -> None:
    headers = {"authorization": OTHER, "X-Team": "orchard"}
    given = a_webhook(
        url=f"{URL}/", headers=headers, eventsEnabled={"group.create": True}, httpAuthenticationUsername="u"
    )
    setting.instance.save_webhook(given | {"httpAuthenticationPassword": OTHER, "readTimeout": 100})

    status, output = setting.connect("--yes")

    assert status == 0, output
    assert setting.hook["headers"] == {"X-Team": "orchard", "Authorization": SECRET}
    assert setting.hook["eventsEnabled"] == {"group.create": True, "user.create": True, "user.create.complete": True}
    assert (setting.hook["url"], setting.hook["readTimeout"]) == (URL, 2000)
    assert "httpAuthenticationUsername" not in setting.hook
    assert "Nothing to do" in setting.connect("--yes")[1]


def test_a_transactional_type_gets_a_setting_under_which_a_refusal_counts(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUREHOOK_TRANSACTIONAL_EVENTS", "user.create")

    setting.connect("--yes")

    assert setting.instance.transaction_type("user.create", TENANT_ID) == "AbsoluteMajority"
    assert setting.instance.transaction_type("user.create.complete", TENANT_ID) == "None"


def test_our_own_secret_is_imported(setting: Setting, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SUREHOOK_SIGNING_SECRETS", OTHER)

    setting.connect("--yes")

    assert [key.secret for key in setting.instance.keys.values()] == [OTHER]
    assert not (tmp_path / ".env").exists()
    assert "Nothing to do" in setting.connect("--yes")[1]


def test_where_keys_cannot_be_fetched_safely_a_new_secret_goes_to_the_env_file(
    setting: Setting, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("surehook.fusionauth.connection.signing_key.publishes_keys_safely", lambda _: False)

    setting.connect("--yes")

    (key,) = setting.instance.keys.values()
    env = tmp_path / ".env"
    assert env.read_text() == f"SUREHOOK_SIGNING_SECRETS={key.secret}\n"
    assert env.stat().st_mode & 0o777 == 0o600
    assert str(key.secret) not in setting.output
    assert "Nothing to do" in setting.connect("--yes")[1]


@pytest.mark.parametrize("step", range(1, 5))
def test_a_run_that_failed_half_way_is_completed_by_the_next(
    step: int, setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = [0]
    send = client.FusionAuthClient.send

    def fail(self: Any, method: str, path: str, body: Any = None) -> Any:
        taken[0] += method != "GET"
        if taken[0] == step and method != "GET":
            raise transport.FusionAuthError("no answer")
        return send(self, method, path, body)

    monkeypatch.setattr(client.FusionAuthClient, "send", fail)
    status, _ = setting.connect("--yes")
    monkeypatch.setattr(client.FusionAuthClient, "send", send)

    assert status == 1
    assert setting.connect("--yes")[0] == 0
    assert (len(setting.instance.webhooks), len(setting.instance.keys)) == (1, 1)
    assert "Nothing to do" in setting.connect("--yes")[1]


def change_nothing(setting: Setting) -> None:
    pass


def make_two(setting: Setting) -> None:
    setting.instance.save_webhook(a_webhook(url=URL))
    setting.instance.save_webhook(a_webhook(url=URL))


def make_old(setting: Setting) -> None:
    setting.instance.version = Version("1.47.0")


@pytest.mark.parametrize(
    ("options", "change", "status", "says"),
    [
        pytest.param((), change_nothing, 2, "--yes", id="no terminal"),
        pytest.param(("--dry-run",), change_nothing, 0, "create a webhook", id="dry run"),
        pytest.param(("--yes",), make_two, 2, "delete all but one", id="two webhooks"),
        pytest.param(("--yes",), make_old, 2, "upgrade", id="an old version"),
        pytest.param(("--yes", "--tenant", "x"), change_nothing, 2, "no such tenant", id="unknown tenant"),
        pytest.param(("--yes", "--url", "http://u:p@x/fusionauth-webhook"), change_nothing, 2, "--url", id="a login"),
        pytest.param(("--yes", "--url", "https://x/other"), change_nothing, 2, "WEBHOOK_PATH", id="another path"),
    ],
)
def test_nothing_is_changed(
    options: tuple[str, ...], change: Callable[[Setting], None], status: int, says: str, setting: Setting
) -> None:
    change(setting)
    before = setting.state()

    found, output = setting.connect(*options)
    assert (found, says in output) == (status, True), output
    assert setting.state() == before


def test_the_next_delivery_proves_the_connection(
    setting: Setting, monkeypatch: pytest.MonkeyPatch, store: redis.Redis
) -> None:
    setting.connect("--yes")
    delivered: list[int] = []

    def deliver_then_look(_: float) -> None:
        deliverer = Deliverer(setting.instance)
        delivered.append(deliverer.fire(an_event(len(delivered) + 50)).attempts[0].response.status)
        deliverer.close()

    monkeypatch.setattr(
        proof.Proof.wait, "__kwdefaults__", (proof.Proof.wait.__kwdefaults__ or {}) | {"sleep": deliver_then_look}
    )
    failed = setting.connect("--wait", "20")
    with served_endpoint(load_settings()):
        proved = setting.connect("--wait", "20")

    assert (failed[0], "no answer" in failed[1]) == (1, True)
    assert (proved[0], "got 202; the store has it" in proved[1]) == (0, True), proved
