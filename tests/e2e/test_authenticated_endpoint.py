"""The endpoint with every kind of authentication and TLS, as processes; `surehook trigger` acts as FusionAuth."""

import ssl
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from harness.certificates import write_certificate
from harness.events import a_body
from harness.signing import SECRET, SIGNATURE, jwks, signer
from harness.stack import Stack, wait_until
from surehook.shared.auth_settings import AuthSettings
from tests.support.jwks_server import jwks_server
from tests.support.raw_http import a_request, connect, read_until_closed, status_of
from tests.support.terminal import Terminal

HS = signer("HS256")


@pytest.fixture
def proven(build_stack: Callable[..., Stack]) -> Stack:
    """A stack with TLS and every kind of authentication; its secrets are in files."""
    stack = build_stack()
    certificate, key = write_certificate(stack.folder)
    del stack.environ["SUREHOOK_API_KEYS"]
    for name, value in {
        "BASIC_AUTH": "fusionauth:ge,heimnis",
        "REQUIRED_HEADER": "X-Team: red",
        "SIGNING_SECRETS": SECRET,
    }.items():
        (stack.folder / name).write_text(f"{value}\n")
        stack.environ[f"SUREHOOK_{name}_FILE"] = str(stack.folder / name)
    stack.environ |= {"SUREHOOK_TLS_CERT": certificate, "SUREHOOK_TLS_KEY": key}
    stack.client = httpx.Client(verify=ssl.create_default_context(cafile=certificate), headers={"Connection": "close"})
    return stack


def start(stack: Stack) -> str:
    stack.surehook("ingest")
    base = f"https://127.0.0.1:{stack.port}"

    def is_ready() -> bool:
        try:
            return stack.client.get(f"{base}/readyz").is_success
        except httpx.TransportError:
            return False

    wait_until(is_ready, "the endpoint is ready")
    return base


def test_trigger_authenticates_in_every_way_over_tls(proven: Stack) -> None:
    base = start(proven)

    assert proven.run("trigger", "user.delete").stdout.startswith("202 ")
    assert proven.run("trigger", "user.delete", "--url", f"{base}/fusionauth-webhook").stdout.startswith("202 ")
    body = a_body()
    assert proven.client.post(f"{base}/fusionauth-webhook", content=body, headers=HS.headers(body)).status_code == 401


def test_a_client_without_tls_is_disconnected(proven: Stack) -> None:
    start(proven)

    with connect(proven.port) as connection:
        connection.sendall(a_request("Content-Length: 2", body=b"{}"))
        assert b"HTTP/1.1 2" not in read_until_closed(connection)
    assert "Traceback" not in proven.logged()


def test_a_certificate_without_its_key_stops_ingest_with_a_sentence(proven: Stack) -> None:
    _, other = write_certificate(proven.folder, "other")

    ended = proven.run("ingest", SUREHOOK_TLS_KEY=other)

    assert ended.returncode == 2
    assert "belong to different keys" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.fixture
def stack(build_stack: Callable[..., Stack]) -> Stack:
    return build_stack()


def test_trigger_signs_with_a_private_key_or_says_how(stack: Stack) -> None:
    (stack.folder / "es.pub").write_text(signer("ES384").public_pem())
    (stack.folder / "es.key").write_text(signer("ES384").private_pem())
    stack.environ["SUREHOOK_SIGNING_PUBLIC_KEYS"] = "es.pub"
    stack.start_ingest()

    signed = stack.run("trigger", "user.delete", "--signing-key", "es.key")
    unsigned = stack.run("trigger", "user.delete")

    assert signed.stdout.startswith("202 ")
    assert (unsigned.returncode, "--signing-key FILE" in unsigned.stderr) == (2, True)


def test_published_keys_verify_signatures_and_rotate(stack: Stack) -> None:
    one, two = signer("RS256", "one"), signer("ES256", "two")
    (stack.folder / "two.key").write_text(two.private_pem())
    with jwks_server() as fusionauth:
        fusionauth.document = jwks(one)
        stack.environ |= {"SUREHOOK_JWKS_URL": fusionauth.url, "SUREHOOK_SIGNING_KEY_IDS": "one,two"}
        stack.start_ingest()
        body = a_body()
        assert stack.client.post(
            stack.url, content=body, headers={**one.headers(body), "Authorization": "no"}
        ).is_client_error

        fusionauth.document = jwks(one, two)
        sent = stack.run("trigger", "user.delete", "--signing-key", "two.key", "--signing-key-id", "two")

    assert sent.stdout.startswith("202 ")


def test_a_client_without_a_signature_gets_no_100_continue(stack: Stack) -> None:
    stack.start_ingest(SUREHOOK_SIGNING_SECRETS=SECRET)
    forged = signer("HS256", number=1).token(b"{}")

    for proof in (f"{SIGNATURE}: {forged}", f"{SIGNATURE}: x.y.z", "X-Nothing: 1"):
        with connect(stack.port) as connection:
            connection.sendall(a_request("Content-Length: 1000000", "Expect: 100-continue", proof))
            answer = read_until_closed(connection)
        assert status_of(answer) == 401
        assert b"100 Continue" not in answer


def test_dev_needs_no_api_key_if_another_authentication_is_set(proven: Stack) -> None:
    terminal = Terminal(proven)
    screen = terminal.wait_for("Ctrl-C stops everything")

    assert f"https://127.0.0.1:{proven.port}/fusionauth-webhook" in screen
    assert not (proven.folder / ".env").exists()
    assert proven.run("trigger", "user.delete").stdout.startswith("202 ")
    assert terminal.ctrl_c() == 0


def config_of(stack: Stack, **environ: str) -> dict[str, Any]:
    ended = stack.run("config", "--json", **environ)
    assert ended.returncode == 0, ended.stderr
    shown: dict[str, Any] = httpx.Response(200, text=ended.stdout).json()
    return shown


def test_config_says_what_is_in_force_and_where_it_comes_from_and_no_secret(proven: Stack) -> None:
    (proven.folder / ".env").write_text(
        "SUREHOOK_RETENTION=60\nSUREHOOK_GRACE=7\nSUREHOOK_API_KEYS=hunter2-hunter2,hunter3-hunter3\n"
    )
    shown = config_of(proven, SUREHOOK_GRACE="8", SUREHOOK_REDIS_URL="redis://user:hunter2@store:1/0")

    assert shown["SUREHOOK_RETENTION"] == {"value": 60, "from": ".env"}
    assert shown["SUREHOOK_GRACE"] == {"value": 8.0, "from": "environment"}
    assert shown["SUREHOOK_KEY_PREFIX"] == {"value": "surehook", "from": "default"}
    assert shown["SUREHOOK_API_KEYS"] == {"value": ["********", "********"], "from": ".env"}
    assert shown["SUREHOOK_SIGNING_SECRETS"] == {"value": ["********"], "from": str(proven.folder / "SIGNING_SECRETS")}
    assert shown["SUREHOOK_REDIS_URL"]["value"] == "redis://********@store:1/0"
    assert len(shown) >= len(AuthSettings.model_fields)
    for told in (str(shown), proven.run("config").stdout):
        assert not any(secret in told for secret in ("hunter2", "hunter3", SECRET, "ge,heim", "X-Team"))
