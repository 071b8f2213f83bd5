"""The endpoint stores nothing of a request that it refuses."""

from collections.abc import Iterator
from typing import Any

import pytest
import redis

from harness.events import USER_ID, a_body, an_event
from harness.stack import API_KEY, wait_until
from surehook.shared.settings import Settings
from tests.support.endpoint import HEADERS, PATH, OpenEndpoint, open_endpoint
from tests.support.store_dump import kept_keys

CANARY = "mara.lindqvist"


@pytest.fixture
def endpoint(settings: Settings, store: redis.Redis) -> Iterator[OpenEndpoint]:
    """Checks after each test that nothing has reached the store."""
    with open_endpoint(settings.model_copy(update={"max_body_bytes": 1024})) as endpoint:
        yield endpoint
    assert kept_keys(store) == []


def body_with(**fields: Any) -> bytes:
    return a_body(an_event(**fields))


@pytest.mark.parametrize(
    "proof",
    [
        pytest.param([], id="no header"),
        pytest.param([("Authorization", "")], id="empty"),
        pytest.param([("Authorization", "wrong")], id="wrong key"),
        pytest.param([("Authorization", API_KEY + "x")], id="key with more behind it"),
        pytest.param([("Authorization", f"Basic {API_KEY}")], id="another scheme"),
        pytest.param([("Authorization", API_KEY), ("Authorization", API_KEY)], id="twice the right key"),
        pytest.param([("Authorization", "wrong"), ("Authorization", API_KEY)], id="a wrong and a right key"),
        pytest.param([("X-Authorization", API_KEY)], id="another header"),
    ],
)
def test_every_authentication_failure_gets_the_same_answer(
    endpoint: OpenEndpoint, proof: list[tuple[str, str]]
) -> None:
    response = endpoint.deliver(headers=[("Content-Type", "application/json"), *proof])

    assert response.status_code == 401
    assert response.content == b'{"errors":[{"code":"[notAuthorized]"}],"exception":"[notAuthorized]"}'
    assert dict(response.headers) == {
        "content-type": "application/json",
        "content-length": str(len(response.content)),
        "connection": "close",
    }


def test_authentication_comes_before_every_other_check(endpoint: OpenEndpoint) -> None:
    response = endpoint.deliver(body=b"x" * 2000, headers={"Content-Type": "text/plain"})

    assert response.status_code == 401
    assert endpoint.metric("surehook_deliveries_refused_total", reason="not_authorized") == 1


@pytest.mark.parametrize(
    "path",
    ["/", "/fusionauth", f"{PATH}//", f"{PATH}/more", "/healthz/", "/metrics", "/%00", "/../etc/passwd"],
)
def test_another_path_is_404(endpoint: OpenEndpoint, path: str) -> None:
    response = endpoint.request("POST", path, content=a_body(), headers=HEADERS)

    assert response.status_code == 404
    assert response.json() == {"errors": [{"code": "[notFound]"}], "exception": "[notFound]"}


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "FUSION"])
def test_another_method_is_405(endpoint: OpenEndpoint, method: str) -> None:
    response = endpoint.request(method, PATH, headers=HEADERS)

    assert response.status_code == 405
    assert response.headers["allow"] == "POST"
    assert response.json() == {"errors": [{"code": "[methodNotAllowed]"}], "exception": "[methodNotAllowed]"}


@pytest.mark.parametrize(
    ("method", "path", "reason", "shown"),
    [
        pytest.param("POST", f"{PATH}//", "not_found", f"{PATH}//", id="a slash too many"),
        pytest.param("POST", "/fusionauth-webhok?key=geheim", "not_found", "/fusionauth-webhok", id="a typing error"),
        pytest.param("POST", "/%0Aline%1B%5B2J", "not_found", "/%0Aline%1B%5B2J", id="escape sequences"),
        pytest.param("POST", "/" + "x" * 5000, "not_found", "/" + "x" * 99, id="a long path"),
        pytest.param("GET", "/elsewhere", "not_found", "/elsewhere", id="GET elsewhere"),
        pytest.param("PUT", PATH, "method_not_allowed", PATH, id="PUT"),
        pytest.param("DELETE", f"{PATH}/", "method_not_allowed", f"{PATH}/", id="DELETE with a slash"),
        pytest.param("POST", "/healthz", "method_not_allowed", "/healthz", id="POST to the health check"),
    ],
)
def test_a_request_that_misses_the_endpoint_is_counted_and_logged(
    endpoint: OpenEndpoint, caplog: pytest.LogCaptureFixture, method: str, path: str, reason: str, shown: str
) -> None:
    endpoint.request(method, path, content=a_body(), headers=HEADERS)

    (line,) = [record for record in caplog.records if record.getMessage() == "delivery refused"]
    fields = ("reason", "method", "path", "count")
    assert [line.__dict__[name] for name in fields] == [reason, method, shown, 1]
    assert line.levelname == "WARNING"
    assert endpoint.metric("surehook_deliveries_refused_total", reason=reason) == 1


def test_a_mistyped_webhook_url_is_logged_although_a_balancer_probes_another_path(
    endpoint: OpenEndpoint, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("surehook.ingest.rate_limited_log.LOG_EVERY_SECONDS", 3600)

    for _ in range(20):
        endpoint.request("GET", "/")
        endpoint.request("POST", "/mistyped")

    lines = [record.__dict__ for record in caplog.records if record.getMessage() == "delivery refused"]
    assert [(line["method"], line["path"]) for line in lines] == [("GET", "/"), ("POST", "/mistyped")]
    assert endpoint.metric("surehook_deliveries_refused_total", reason="not_found") == 40


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="none"),
        pytest.param({"Content-Type": ""}, id="empty"),
        pytest.param({"Content-Type": "text/plain"}, id="text"),
        pytest.param({"Content-Type": "application/jsonp"}, id="nearly JSON"),
        pytest.param({"Content-Type": "application/x-www-form-urlencoded"}, id="a form"),
        pytest.param({"Content-Type": "application/json", "Content-Encoding": "gzip"}, id="gzip"),
    ],
)
def test_a_body_not_sent_as_json_is_415(endpoint: OpenEndpoint, headers: dict[str, str]) -> None:
    response = endpoint.deliver(headers={"Authorization": API_KEY, **headers})

    assert response.status_code == 415
    assert response.json()["exception"] == "[unsupportedMediaType] send application/json, not compressed"


def test_a_body_larger_than_the_limit_is_413_by_its_length(endpoint: OpenEndpoint) -> None:
    response = endpoint.deliver(body=CANARY.encode() * 1000)

    assert response.status_code == 413
    assert response.json()["exception"] == "[tooLarge] the body is larger than 1024 bytes"
    assert response.headers["connection"] == "close"


def test_a_body_larger_than_the_limit_is_413_by_counting(endpoint: OpenEndpoint) -> None:
    response = endpoint.deliver(body=(b"x" * 100 for _ in range(11)))

    assert "content-length" not in response.request.headers
    assert response.status_code == 413
    assert endpoint.metric("surehook_deliveries_refused_total", reason="too_large") == 1


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"null", id="null"),
        pytest.param(b"[]", id="list"),
        pytest.param(b"{}", id="no envelope"),
        pytest.param(b'{"event": null}', id="null event"),
        pytest.param(b'{"event": [{"type": "test"}]}', id="event is a list"),
        pytest.param(b'{"event": {}}', id="no type"),
        pytest.param(b'{"event": {"type": "test", "n": "mara.lindqvist', id="cut off"),
        pytest.param(b'{"event": {"type": "test"}} {}', id="more behind it"),
        pytest.param(b'{"event": {"type": "test", "n": NaN}}', id="NaN is not JSON"),
        pytest.param(b'{"event": {"type": "mara.lindqvist\xff"}}', id="bad UTF-8"),
        pytest.param(b'\xef\xbb\xbf{"event": {"type": "test"}}', id="a byte order mark"),
        pytest.param('{"event": {"type": "test"}}'.encode("utf-16"), id="UTF-16"),
        pytest.param(b"[" * 1000, id="deep nesting, open"),
        pytest.param(b'{"event":' + b"[" * 500 + b"]" * 500 + b"}", id="deep nesting"),
        pytest.param(body_with(type=7), id="type is a number"),
        pytest.param(body_with(type="<b>mara.lindqvist</b>"), id="type is no word"),
        pytest.param(body_with(type="user.create\r\nmara.lindqvist"), id="type with a newline"),
        pytest.param(body_with(type="\ud800"), id="type is a lone surrogate"),
        pytest.param(body_with(id="mara.lindqvist"), id="id is no UUID"),
        pytest.param(body_with(id=["mara.lindqvist"]), id="id is a list"),
        pytest.param(body_with(id=f"{{{USER_ID}}}"), id="id in braces"),
        pytest.param(body_with(id=USER_ID.replace("-", "")), id="id without dashes"),
    ],
)
def test_a_body_that_is_no_event_is_400_and_is_not_quoted(
    endpoint: OpenEndpoint, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    response = endpoint.deliver(body=body)

    assert response.status_code == 400
    assert response.json()["exception"].startswith("[malformed] ")
    assert response.json()["errors"][0]["code"] == "[malformed]"
    assert CANARY not in response.text
    assert CANARY not in str([record.__dict__ for record in caplog.records])
    assert endpoint.metric("surehook_deliveries_refused_total", reason="malformed") == 1


def test_a_flood_of_refusals_is_one_log_line_and_all_of_it_counted(
    endpoint: OpenEndpoint, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("surehook.ingest.rate_limited_log.LOG_EVERY_SECONDS", 3600)
    for _ in range(50):
        endpoint.deliver(headers={})

    lines = [record for record in caplog.records if record.getMessage() == "delivery refused"]

    assert len(lines) == 1
    assert endpoint.metric("surehook_deliveries_refused_total", reason="not_authorized") == 50


def test_a_failed_readiness_check_does_not_say_why(settings: Settings, store: redis.Redis) -> None:
    store.config_set("appendfsync", "no")
    try:
        with open_endpoint(settings, is_awaited=False) as endpoint:
            wait_until(lambda: endpoint.metric("surehook_not_ready", reason="not_durable"), "the check is done")
            response = endpoint.request("GET", "/readyz")
    finally:
        store.config_set("appendfsync", "always")

    assert response.status_code == 503
    assert response.content == b'{"errors":[{"code":"[unavailable]"}],"exception":"[unavailable]"}'


@pytest.mark.parametrize("path", [PATH, f"{PATH}/"])
@pytest.mark.parametrize("configured", [PATH, f"{PATH}/"])
def test_a_slash_at_the_end_of_the_path_does_not_matter(settings: Settings, configured: str, path: str) -> None:
    with open_endpoint(settings.model_copy(update={"webhook_path": configured})) as endpoint:
        assert endpoint.request("POST", path, content=a_body(), headers=HEADERS).status_code == 202
