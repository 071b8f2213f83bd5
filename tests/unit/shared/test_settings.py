from pathlib import Path

import pytest

from surehook.shared.errors import Misconfigured
from surehook.shared.settings import load_settings


def test_all_mistakes_are_reported_together_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUREHOOK_BIND", "8000")
    monkeypatch.setenv("SUREHOOK_RETENTION", "a day")
    monkeypatch.setenv("SUREHOOK_LOG_LEVEL", "loud")

    with pytest.raises(Misconfigured) as failure:
        load_settings()

    lines = str(failure.value).splitlines()
    assert [line.split("=")[0] for line in lines] == [
        "SUREHOOK_BIND",
        "SUREHOOK_RETENTION",
        "SUREHOOK_LOG_LEVEL",
    ]
    assert "expected host:port" in lines[0]


def test_an_error_about_a_secret_does_not_show_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUREHOOK_REDIS_URL", "http://user:hunter2@store")
    monkeypatch.setenv("SUREHOOK_DASHBOARD_LOGIN", "hunter2")

    with pytest.raises(Misconfigured) as failure:
        load_settings()

    assert "SUREHOOK_REDIS_URL" in str(failure.value)
    assert "hunter2" not in str(failure.value)


def test_a_dashboard_that_others_reach_needs_a_login(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUREHOOK_DASHBOARD_BIND", "0.0.0.0:9181")

    with pytest.raises(Misconfigured, match="SUREHOOK_DASHBOARD_LOGIN"):
        load_settings()


def test_a_dashboard_behind_a_proxy_needs_a_login(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUREHOOK_DASHBOARD_URL", "https://ops.example/surehook")

    with pytest.raises(Misconfigured, match="SUREHOOK_DASHBOARD_LOGIN"):
        load_settings()


@pytest.mark.parametrize(
    "url",
    [
        "ops.example.com/surehook",
        "ftp://ops.example.com",
        "https://",
        "https:///surehook",
        "https://user:a-password@ops.example.com",
        "https://ops.example.com//elsewhere",
        "https://ops.example.com/?a=b",
        "https://ops.example.com/#a",
        "https://ops.example.com:port/",
        'https://ops.example.com/"',
        "https://ops.example.com/\r\nX: y",
    ],
)
def test_the_dashboards_url_is_a_plain_address(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUREHOOK_DASHBOARD_LOGIN", "operator:a-password")
    monkeypatch.setenv("SUREHOOK_DASHBOARD_URL", url)

    with pytest.raises(Misconfigured, match="SUREHOOK_DASHBOARD_URL"):
        load_settings()


def test_several_keys_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUREHOOK_API_KEYS", "the-old-key, the-new-key")

    assert [key.get_secret_value() for key in load_settings().api_keys] == ["the-old-key", "the-new-key"]


def test_a_secret_can_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("the-old-key\nthe-new-key\n")

    settings = load_settings({"SUREHOOK_API_KEYS_FILE": str(tmp_path / "keys")})

    assert [key.get_secret_value() for key in settings.api_keys] == ["the-old-key", "the-new-key"]


def test_secrets_do_not_show_in_a_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUREHOOK_API_KEYS", "hunter2-hunter2")

    assert "hunter2" not in repr(load_settings())


@pytest.mark.parametrize("prefix", ["rq", "a:b", "a b", "{a}"])
def test_a_prefix_that_would_mix_with_other_keys_is_refused(prefix: str) -> None:
    with pytest.raises(Misconfigured, match="SUREHOOK_KEY_PREFIX"):
        load_settings({"SUREHOOK_KEY_PREFIX": prefix})
