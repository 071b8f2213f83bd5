"""`surehook simulate --scenario FILE` plays the examples, and what it does is what their steps say."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from harness.stack import free_port
from surehook.fusionauth.simulator.http_client import Fault
from surehook.fusionauth.simulator.instance import system_clock
from surehook.fusionauth.simulator.run import Simulation
from surehook.fusionauth.simulator.scenario import Step, load_scenario
from surehook.shared.settings import Settings
from tests.integration.test_simulated_delivery import Receiver
from tests.support.command import Surehook, command_on
from tests.support.served_endpoint import served_endpoint
from tests.support.simulated_fusionauth import an_installation

EXAMPLES = Path(__file__).parents[2] / "examples" / "scenarios"
HOUR_MS = 3_600_000


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver(202)
    yield receiver
    receiver.shutdown()
    receiver.server_close()


@pytest.fixture
def surehook(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Surehook:
    return command_on(settings, monkeypatch)


def play(surehook: Surehook, name: str, receiver: Receiver, *more: str) -> tuple[int, list[str], list[Any]]:
    arguments = ("--scenario", str(EXAMPLES / name), "--url", receiver.url, "--rate", "1000000")
    status, output = surehook("simulate", *arguments, "--api", "127.0.0.1:0", *more)
    events = []
    for body in (body for _, _, _, body in receiver.requests):
        try:
            events.append(json.loads(body)["event"])
        except ValueError:
            events.append(None)
    return status, output.splitlines(), events


def test_a_bad_network_loses_repeats_and_cuts_as_often_for_the_same_seed(
    surehook: Surehook, receiver: Receiver
) -> None:
    status, lines, events = play(surehook, "bad-network.toml", receiver)
    again = play(surehook, "bad-network.toml", receiver)[1]

    assert (status, lines[2:]) == (0, again[2:])
    assert lines[2].startswith("1. a calm network: ")
    assert "without an answer" not in lines[2]
    assert "without an answer" in lines[3]
    disturbed = dict(re.findall(r"(not sent|lost response|sent twice|slow body|cut body|truncated body)()", lines[-1]))
    assert len(disturbed) == 6
    ids = Counter(event["id"] for event in events if event)
    assert max(ids.values()) == 2
    assert None in events  # half a body
    assert any(event and event["type"] == "user.create" for event in events)


def test_an_import_is_one_event_however_many_users_it_has(surehook: Surehook, receiver: Receiver) -> None:
    status, lines, events = play(surehook, "large-imports.toml", receiver)

    assert (status, len(lines)) == (0, 6)
    assert max(len(event.get("users", ())) for event in events) == 2_000
    assert len({event["id"] for event in events}) == len(events)


def test_a_strange_fusionauth_has_another_clock_and_undocumented_forms(surehook: Surehook, receiver: Receiver) -> None:
    status, _, events = play(surehook, "strange-fusionauth.toml", receiver)

    assert status == 0
    assert all(abs(event["createInstant"] - 3 * HOUR_MS - system_clock()) < HOUR_MS for event in events[:10])
    assert any(event["type"] == "user.teleport.success" for event in events)
    assert any("createInstant" not in event for event in events)
    assert any("info" in event and event["info"] is None for event in events)


def test_keys_are_rotated_while_the_endpoint_verifies_published_ones(settings: Settings) -> None:
    changes = {"bind": f"127.0.0.1:{free_port()}", "spool_dir": "off", "jwks_url": f"http://127.0.0.1:{free_port()}/"}
    ours = settings.model_copy(update=changes)
    with Simulation(an_installation(), ours, seed=1) as running, ExitStack() as stack:
        jwks = {"jwks_url": f"{running.url}/.well-known/jwks.json"}
        stack.enter_context(served_endpoint(ours.model_copy(update=jwks)))
        for number, step in enumerate((Step(events=9), Step(events=9, rotate_key=True))):
            for _ in running.play(number, step, rate=1e6):
                pass

    assert len(running.deliverer.instance.keys) == 2
    assert set(running.tally.statuses) == {202}


@pytest.mark.parametrize(
    ("text", "more", "words"),
    [
        ("[[step]]\nrotate_key = true", (), "set SUREHOOK_JWKS_URL"),
        ("[[step]]\nevents = 1", ("--events", "5"), "leave these options out"),
        ("[[step]]\nevnts = 1", (), "step.1.evnts is no field of a scenario"),
    ],
)
def test_what_cannot_be_played_is_said(
    text: str, more: tuple[str, ...], words: str, surehook: Surehook, receiver: Receiver, tmp_path: Path
) -> None:
    file = tmp_path / "some.toml"
    file.write_text(text)

    status, output = surehook("simulate", "--scenario", str(file), "--url", receiver.url, "--api", "127.0.0.1:0", *more)

    assert status == 2
    assert words in output


def test_the_scenario_of_the_page_can_be_read_and_its_examples_are_there(tmp_path: Path) -> None:
    page = (EXAMPLES.parents[1] / "docs" / "fusionauth.md").read_text("utf-8")
    (scenario,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    file = tmp_path / "page.toml"
    file.write_text(scenario)

    assert len(load_scenario(file).step) == 2
    assert {path.name for path in EXAMPLES.glob("*.toml")} == set(re.findall(r"`([\w-]+\.toml)`", page))
    for fault in Fault.__members__:
        assert f"`{fault.lower()}`" in page
    for name in set(Step.model_fields) - {"name"}:
        assert f"| `{name}" in page or f"`{name}`" in page, name
