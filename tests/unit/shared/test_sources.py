"""Each setting from each source: given, empty, unreadable, given twice, with invisible characters."""

import re
from pathlib import Path

import pytest

from surehook.shared import sources
from surehook.shared.settings import SECRETS, Settings, load_settings
from tests.support.setting_values import NEEDS, VALUES, expected, loaded, mistakes_of, value_of, variable
from tests.unit.shared.conftest import Source

ROOT = Path(__file__).parents[3]
ONE_VALUE = ("redis_url", "dashboard_login", "fusionauth_api_key")
EVERY_SETTING = pytest.mark.parametrize("name", Settings.model_fields)
EVERY_SECRET = pytest.mark.parametrize("name", SECRETS)


def test_the_tables_have_every_setting() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text("utf-8").partition("## Each setting")[2]
    rows = dict(re.findall(r"^\| `(\w+)` \| .* \| (.*) \|$", page, re.MULTILINE))

    assert set(VALUES) == set(Settings.model_fields)
    assert {name.lower() for name in rows} == set(Settings.model_fields)
    assert {name.lower() for name, from_file in rows.items() if from_file != "no"} == set(SECRETS)


@EVERY_SETTING
def test_a_setting_is_read_from_each_source(name: str, source: Source) -> None:
    assert loaded(name, source(variable(name), VALUES[name][0])) == expected(name, VALUES[name][0])


@EVERY_SECRET
def test_a_file_is_read_wherever_it_is_named(name: str, source: Source, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"\ufeff{VALUES[name][0]}\r\n\r\n", "utf-8")

    found = load_settings({**NEEDS.get(name, {}), **source(f"{variable(name)}_FILE", str(tmp_path / "secret"))})

    assert value_of(name, found) == expected(name, VALUES[name][0])


@EVERY_SETTING
def test_a_name_without_a_value_is_a_mistake(name: str, source: Source) -> None:
    for nothing in ("", "  ", "\t"):
        sources.ENV_FILE.unlink(missing_ok=True)
        assert f"{variable(name)} is empty in " in mistakes_of(source(variable(name), nothing))


@pytest.mark.parametrize("name", [name for name in SECRETS if name not in ONE_VALUE])
@pytest.mark.parametrize("nothing", [",", " , ,"])
def test_a_list_of_nothing_is_a_mistake(name: str, nothing: str, source: Source) -> None:
    assert mistakes_of(source(variable(name), nothing)).startswith(f"{variable(name)}: ")


@EVERY_SETTING
def test_a_name_without_an_equals_sign_is_a_mistake(name: str) -> None:
    sources.ENV_FILE.write_text(f"{variable(name)}\n")

    assert f"{variable(name)} is empty in " in mistakes_of({})


@EVERY_SECRET
@pytest.mark.parametrize("nothing", ["", "\n", " \r\n\t\n", "\ufeff\n"])
def test_an_empty_file_is_a_mistake(name: str, nothing: str, source: Source, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(nothing, "utf-8")

    message = mistakes_of(source(f"{variable(name)}_FILE", str(tmp_path / "secret")))

    assert (
        message == f"{variable(name)}_FILE={tmp_path}/secret is empty: write the value into it, or remove the variable"
    )


@EVERY_SECRET
def test_an_unreadable_file_is_named(name: str, source: Source, tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"geheimes-pass\xfcort")
    variable_of_file = f"{variable(name)}_FILE"

    for path, why in ((tmp_path / "none", "No such file or directory"), (tmp_path, "Is a directory"),
                      (tmp_path / "latin", "it is not UTF-8")):  # fmt: skip
        sources.ENV_FILE.unlink(missing_ok=True)
        assert mistakes_of(source(variable_of_file, str(path))) == f"{variable_of_file}={path} cannot be read: {why}"
    sources.ENV_FILE.unlink(missing_ok=True)
    assert mistakes_of(source(variable_of_file, "")).startswith(f"{variable_of_file} is empty in ")


@EVERY_SETTING
def test_the_environment_outranks_dotenv(name: str) -> None:
    sources.ENV_FILE.write_text(f"{variable(name)}='{VALUES[name][1]}'\n")

    assert loaded(name, {variable(name): VALUES[name][0]}) == expected(name, VALUES[name][0])
    assert f"{variable(name)} is empty in the environment" in mistakes_of({variable(name): ""})


@EVERY_SECRET
def test_the_environment_outranks_dotenv_in_either_form(name: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(VALUES[name][0])
    by_file = f"{variable(name)}_FILE"

    sources.ENV_FILE.write_text(f"{variable(name)}='{VALUES[name][1]}'\n")
    assert loaded(name, {by_file: str(tmp_path / "secret")}) == expected(name, VALUES[name][0])
    sources.ENV_FILE.write_text(f"{by_file}={tmp_path}/none\n")
    assert loaded(name, {variable(name): VALUES[name][1]}) == expected(name, VALUES[name][1])


@EVERY_SECRET
def test_a_value_and_a_file_in_one_source_are_a_mistake(name: str, source: Source, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(VALUES[name][0])
    environ = source(f"{variable(name)}_FILE", str(tmp_path / "secret"))

    assert "both set" in mistakes_of({**environ, **source(variable(name), VALUES[name][0])})


@EVERY_SECRET
def test_an_empty_value_beside_a_file_is_called_empty(name: str, tmp_path: Path) -> None:
    environ = {f"{variable(name)}_FILE": str(tmp_path / "secret"), variable(name): ""}

    assert mistakes_of(environ).startswith(f"{variable(name)} is empty in the environment")


@EVERY_SETTING
def test_a_name_that_dotenv_sets_twice_is_a_mistake(name: str) -> None:
    sources.ENV_FILE.write_text(f"{variable(name)}='{VALUES[name][0]}'\nexport {variable(name)}='{VALUES[name][1]}'\n")

    assert f"{variable(name)} is set twice in " in mistakes_of({})


@EVERY_SETTING
def test_an_invisible_character_is_a_mistake(name: str, source: Source) -> None:
    value = VALUES[name][0]
    for character in ("\ufeff", "\u2028", "\u200b", "\x85", "\xa0", "\x1b", "\x1c"):
        for text in (f"{character}{value}", f"{value[0]}{character}{value[1:]}", f"{value}{character}"):
            sources.ENV_FILE.unlink(missing_ok=True)
            message = mistakes_of(source(variable(name), text))

            assert f"is the invisible character U+{ord(character):04X}: remove it" in message
            assert name not in SECRETS or value[2:] not in message


@EVERY_SECRET
def test_an_invisible_character_in_a_file_is_a_mistake(name: str, source: Source, tmp_path: Path) -> None:
    value = VALUES[name][0]
    for character in ("\u2028", "\u200b", "\x85", "\x0b", "\x0c", "\x1c", "\0", "\ufeff"):
        sources.ENV_FILE.unlink(missing_ok=True)
        (tmp_path / "secret").write_text(f"\n{value[0]}{character}{value[1:]}\n", "utf-8")

        message = mistakes_of(source(f"{variable(name)}_FILE", str(tmp_path / "secret")))

        assert f"secret, line 2: character 2 is the invisible character U+{ord(character):04X}" in message
        assert value[2:] not in message
