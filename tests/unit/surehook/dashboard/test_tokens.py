"""The tokens of forms and the cookies are the same in every dashboard of an installation, and end with the login."""

import secrets

from surehook.dashboard.tokens import Tokens
from surehook.shared.settings import Settings

KEY = secrets.token_bytes(32)
DAY = 86_400.0
NOW = 20_000 * DAY + 86_000


def tokens(key: bytes = KEY, login: str | None = "ann:a-password") -> Tokens:
    return Tokens(Settings(dashboard_login=login, dashboard_reader="bob:another-password" if login else None), key)


def test_two_dashboards_make_the_same() -> None:
    assert tokens().form("ann", NOW) == tokens().form("ann", NOW)
    assert tokens().cookie("ann") == tokens().cookie("ann")
    assert tokens(login=None).form("", NOW) == tokens(login=None).form("", NOW)


def test_each_login_installation_password_and_purpose_has_its_own() -> None:
    made = {
        tokens().form("ann", NOW),
        tokens().form("bob", NOW),
        tokens().cookie("ann"),
        tokens().cookie("bob"),
        tokens(secrets.token_bytes(32)).form("ann", NOW),
        tokens(secrets.token_bytes(32)).cookie("ann"),
        tokens(login="ann:a-new-password").form("ann", NOW),
        tokens(login="ann:a-new-password").cookie("ann"),
        tokens(login=None).form("", NOW),
    }

    assert len(made) == 9


def test_a_form_is_taken_for_a_day_and_from_a_dashboard_whose_clock_differs() -> None:
    given = tokens().form("ann", NOW)

    assert [tokens().is_form("ann", given, NOW + days * DAY) for days in (-2, -1, 0, 1, 2)] == [
        False, True, True, True, False,
    ]  # fmt: skip


def test_no_other_text_is_a_form() -> None:
    for given in ("", "x", "\ud800", tokens().form("bob", NOW), tokens().cookie("ann")):
        assert not tokens().is_form("ann", given, NOW)
