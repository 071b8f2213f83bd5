"""Fetching signing keys from a server that may be slow, oversized, redirecting or gone, while the endpoint waits."""

import asyncio
import gzip
from collections.abc import Iterator

import pytest
import redis

from harness.events import a_body
from harness.signing import jwks, signer
from harness.stack import free_port, wait_until
from surehook.ingest.auth import jwks as jwks_module
from surehook.ingest.auth.jwks import FetchFailed, fetch_from
from surehook.shared.settings import Settings
from tests.support.endpoint import OpenEndpoint, open_endpoint
from tests.support.jwks_server import PATH, JwksServer, jwks_server
from tests.support.store_dump import kept_keys

ONE, TWO = signer("RS256", "one"), signer("ES256", "two")


@pytest.fixture
def fusionauth() -> Iterator[JwksServer]:
    with jwks_server() as server:
        server.document = jwks(ONE)
        yield server


def fetch(url: str) -> bytes:
    async def story() -> bytes:
        return await fetch_from(url)()

    return asyncio.run(story())


def test_the_document_comes_as_it_is(fusionauth: JwksServer) -> None:
    assert fetch(fusionauth.url) == jwks(ONE)
    assert fusionauth.requests == [PATH]


def test_redirects_are_not_followed(fusionauth: JwksServer) -> None:
    with jwks_server() as elsewhere:
        elsewhere.document = jwks(TWO)
        fusionauth.status, fusionauth.headers = 302, {"Location": elsewhere.url}

        with pytest.raises(FetchFailed, match="status 302"):
            fetch(fusionauth.url)

        assert elsewhere.requests == []


@pytest.mark.parametrize("status", [204, 301, 307, 401, 404, 500, 503])
def test_a_response_that_is_not_a_jwks_is_rejected(status: int, fusionauth: JwksServer) -> None:
    fusionauth.status = status

    with pytest.raises(FetchFailed, match=f"status {status}"):
        fetch(fusionauth.url)


def test_an_endless_document_is_cut_off(fusionauth: JwksServer) -> None:
    fusionauth.document = b" " * (jwks_module.MAX_DOCUMENT_BYTES + 1)

    with pytest.raises(FetchFailed, match="too large"):
        fetch(fusionauth.url)


def test_a_compressed_response_is_not_unpacked(fusionauth: JwksServer) -> None:
    fusionauth.document = gzip.compress(jwks(ONE))
    fusionauth.headers = {"Content-Encoding": "gzip"}

    with pytest.raises(FetchFailed, match="compressed"):
        fetch(fusionauth.url)


def test_a_jwks_server_that_sends_byte_by_byte_times_out(
    fusionauth: JwksServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jwks_module, "FETCH_SECONDS", 0.2)
    fusionauth.seconds_a_byte = 0.01

    with pytest.raises(FetchFailed, match="TimeoutError"):
        fetch(fusionauth.url)


@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}/", "https://127.0.0.1:{port}/", "http://localhost:{port}/x"])
def test_a_server_that_is_gone_is_one_error(url: str) -> None:
    with pytest.raises(FetchFailed, match="ConnectError"):
        fetch(url.format(port=free_port()))


def test_an_untrusted_certificate_is_refused(fusionauth: JwksServer) -> None:
    with pytest.raises(FetchFailed):
        fetch(fusionauth.url.replace("http://", "https://"))


@pytest.fixture
def endpoint(settings: Settings, store: redis.Redis, fusionauth: JwksServer) -> Iterator[OpenEndpoint]:
    ours = Settings(data_dir=settings.data_dir, metrics_bind="off", jwks_url=fusionauth.url)
    with open_endpoint(ours) as endpoint:
        yield endpoint


def status_of(endpoint: OpenEndpoint, body: bytes, headers: dict[str, str]) -> int:
    return endpoint.deliver(body=body, headers=headers).status_code


def test_a_new_key_is_fetched_for_its_first_delivery(endpoint: OpenEndpoint, fusionauth: JwksServer) -> None:
    body, second = a_body(), a_body()
    assert status_of(endpoint, body, ONE.headers(body)) == 202

    fusionauth.document = jwks(ONE, TWO)

    assert status_of(endpoint, second, TWO.headers(second)) == 202


def test_an_outage_later_changes_nothing(endpoint: OpenEndpoint, fusionauth: JwksServer, store: redis.Redis) -> None:
    body = a_body()
    fusionauth.status = 500

    assert status_of(endpoint, body, TWO.headers(body)) == 401
    assert status_of(endpoint, body, ONE.headers(body)) == 202
    assert endpoint.is_ready()


def test_the_endpoint_is_not_ready_until_its_first_key_arrives(
    settings: Settings, store: redis.Redis, fusionauth: JwksServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jwks_module, "RETRY_SECONDS", 0.05)
    fusionauth.status = 503
    ours = Settings(data_dir=settings.data_dir, metrics_bind="off", jwks_url=fusionauth.url)
    with open_endpoint(ours, is_awaited=False) as endpoint:
        wait_until(lambda: endpoint.metric("surehook_jwks_fetches_total", outcome="failed") > 1, "it was tried")
        body = a_body()

        assert endpoint.request("GET", "/readyz").status_code == 503
        assert endpoint.metric("surehook_not_ready", reason="no_signing_keys") == 1
        assert status_of(endpoint, body, ONE.headers(body)) == 401
        assert kept_keys(store) == []

        fusionauth.status = 200
        wait_until(endpoint.is_ready, "the keys came")
        assert status_of(endpoint, body, ONE.headers(body)) == 202
