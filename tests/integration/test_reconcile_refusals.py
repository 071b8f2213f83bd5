"""`surehook reconcile` says at once when it cannot know what is missing."""

from collections.abc import Callable
from typing import Any

import pytest

from surehook.fusionauth.simulator.quirks import Quirks, Version
from tests.support.command import Surehook
from tests.support.missed_events import FusionAuth, fusionauth, open_fusionauth, statement_of, surehook
from tests.support.simulated_fusionauth import TENANT_KEY

__all__ = ["fusionauth", "open_fusionauth", "surehook"]  # fixtures of tests.support


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"quirks": Quirks(is_log_enabled=False)}, "Webhook Event Log is off"),
        ({"version": Version("1.52.0")}, "needs 1.53 or newer"),
    ],
)
def test_a_fusionauth_without_the_log_is_said_at_once(
    more: dict[str, Any], words: str, open_fusionauth: Callable[..., FusionAuth], surehook: Surehook
) -> None:
    open_fusionauth(**more)

    status, output = surehook("reconcile")

    assert status == 1
    assert words in output


def test_a_log_that_is_kept_too_short_is_part_of_the_statement(fusionauth: FusionAuth, surehook: Surehook) -> None:
    delete = {"enabled": True, "numberOfDaysToRetain": 1}
    fusionauth.instance.configure({"webhookEventLogConfiguration": {"delete": delete}})

    status, statement = statement_of(surehook, "--since", "3d")

    assert status == 1
    assert "after 1 day," in statement["problems"][0]
    assert "after 1 day," in surehook("reconcile", "--since", "3d", "--dry-run")[1].splitlines()[0]


@pytest.mark.parametrize("key", [TENANT_KEY, "no key of it"])
def test_a_key_that_is_not_enough_is_named_and_not_shown(
    key: str, fusionauth: FusionAuth, surehook: Surehook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUREHOOK_FUSIONAUTH_API_KEY", key)

    status, output = surehook("reconcile")

    assert status == 1
    assert "must be a global key" in output
    assert key not in output


def test_without_a_webhook_of_ours_it_says_how_to_name_one(fusionauth: FusionAuth, surehook: Surehook) -> None:
    moved = {**fusionauth.webhook, "url": "http://127.0.0.1:9/elsewhere"}
    fusionauth.instance.save_webhook(moved, fusionauth.webhook["id"])
    fusionauth.fire(1)

    status, output = surehook("reconcile")
    assert status == 1
    assert "--webhook ID" in output

    _, statement = statement_of(surehook, "--webhook", fusionauth.webhook["id"])
    assert statement["recovered"] == 1


def test_without_settings_it_says_which_are_missing(surehook: Surehook) -> None:
    status, output = surehook("reconcile")

    assert status == 2
    assert "SUREHOOK_FUSIONAUTH_URL" in output


@pytest.mark.parametrize(
    "arguments",
    [("--since", "5m", "--until", "1h"), ("--since", "0s"), ("--every", "5"), ("--every", "5m", "--since", "1h")],
)
def test_an_odd_period_is_refused(arguments: tuple[str, ...], fusionauth: FusionAuth, surehook: Surehook) -> None:
    assert surehook("reconcile", *arguments)[0] == 2
