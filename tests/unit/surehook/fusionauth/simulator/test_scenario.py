"""A scenario's file is read whole, and each mistake in it is named with its place."""

from pathlib import Path

import pytest

from surehook.fusionauth.simulator.scenario import load_scenario
from surehook.shared.errors import Misconfigured


def test_a_scenario_is_read(tmp_path: Path) -> None:
    file = tmp_path / "some.toml"
    file.write_text(
        'version = "1.55.0"\n[quirks]\ncomplete_comes_early = true\n[transactions]\n"user.create" = "Any"\n'
        "[[step]]\nevents = 5\nfaults = { cut_body = 0.5 }\n[[step]]\nrestart = true\n"
    )

    scenario = load_scenario(file)

    assert (scenario.version, scenario.quirks.complete_comes_early, scenario.seed) == ("1.55.0", True, None)
    assert scenario.transactions == {"user.create": "Any"}
    assert [(step.events, step.faults, step.restart) for step in scenario.step] == [
        (5, {"cut_body": 0.5}, False),
        (0, {}, True),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "step: Field required"),
        ("step = []", "step: Tuple should have at least 1 item"),
        ("[[step]]\nevnts = 3", "step.1.evnts is no field of a scenario"),
        ("[[step]]\nfaults = { lost = 0.1 }", "step.1.faults.lost: expected one of lost_response, cut_body"),
        ("[[step]]\nfaults = { cut_body = 0.6, slow_body = 0.6 }", "step.1: faults: the shares are more than 1"),
        ("[[step]]\nfaults = { cut_body = 2 }", "step.1.faults.cut_body: Input should be less than or equal to 1"),
        ("[[step]]\nimport_users = 100001", "less than or equal to 100000"),
        ('[[step]]\ntransactions = { "user.crete" = "Any" }', "there is no event type user.crete"),
        ('[[step]]\ntransactions = { "user.create" = "Some" }', "expected one of None, Any"),
        ('version = "new"\n[[step]]', "version: expected a version such as"),
        ("[quirks]\nis_slow = true\n[[step]]", "quirks.is_slow is no field of a scenario"),
        ("[[step", "is no TOML"),
    ],
)
def test_a_mistake_is_named(text: str, words: str, tmp_path: Path) -> None:
    file = tmp_path / "some.toml"
    file.write_text(text)

    with pytest.raises(Misconfigured) as caught:
        load_scenario(file)

    assert words in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"some.toml cannot be read: No such file"):
        load_scenario(tmp_path / "some.toml")
