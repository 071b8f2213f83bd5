"""Our webhooks are found among FusionAuth's by their path, and by credentials that the endpoint accepts."""

import base64
from typing import Any

import pytest

from surehook.fusionauth.webhooks import ours_among
from surehook.shared.settings import Settings

KEY = "a-planted-key-of-the-endpoint-0123456789"
SETTINGS = Settings.model_validate({"api_keys": (KEY,), "basic_auth": ("u:a-long-password-0123456789",)})
PATH = SETTINGS.webhook_path


def a_hook(url: str = f"https://hooks.example{PATH}", **more: Any) -> dict[str, Any]:
    return {"id": url, "url": url, **more}


@pytest.mark.parametrize(
    ("path", "is_ours"),
    [(PATH, True), (f"{PATH}/", True), (f"/{PATH}", True), (f"{PATH}?a=b", True), (f"{PATH}2", False), ("/", False)],
)
def test_slashes_too_many_do_not_hide_our_webhook(path: str, is_ours: bool) -> None:
    assert bool(ours_among([a_hook(f"https://hooks.example{path}")], SETTINGS)) is is_ours


@pytest.mark.parametrize(
    "credentials",
    [
        pytest.param({"headers": {"Authorization": KEY}}, id="a key"),
        pytest.param({"headers": {"authorization": f"bearer {KEY}"}}, id="a bearer key"),
        pytest.param(
            {"httpAuthenticationUsername": "u", "httpAuthenticationPassword": "a-long-password-0123456789"},
            id="a Basic pair",
        ),
        pytest.param(
            {"headers": {"Authorization": f"Basic {base64.b64encode(b'u:a-long-password-0123456789').decode()}"}},
            id="a Basic pair as a header",
        ),
    ],
)
def test_of_several_with_our_path_those_that_the_endpoint_accepts_are_ours(credentials: dict[str, Any]) -> None:
    ours = a_hook(**credentials)
    other = a_hook(f"https://other.example{PATH}", headers={"Authorization": "another-key-0123456789-0123456789"})

    assert ours_among([other, ours], SETTINGS) == [ours]
    assert ours_among([other, other], SETTINGS) == [other, other]
