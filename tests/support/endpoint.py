"""The endpoint in the test's own process, on a real store."""

import contextlib
import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import httpx
from starlette.exceptions import StarletteDeprecationWarning

from harness.events import a_body
from harness.stack import API_KEY, wait_until
from surehook.ingest.app import create_app
from surehook.ingest.metrics import IngestMetrics
from surehook.shared.settings import Settings

with warnings.catch_warnings():
    # Starlette recommends httpx2 to its test client; with httpx the client behaves the same.
    warnings.simplefilter("ignore", StarletteDeprecationWarning)
    from starlette.testclient import TestClient

PATH = "/fusionauth-webhook"
HEADERS = {"Authorization": API_KEY, "Content-Type": "application/json"}
Body = bytes | Iterable[bytes]
HeaderList = Mapping[str, str] | list[tuple[str, str]]


class OpenEndpoint:
    """A running app. An exception that the app does not translate is raised by the call."""

    def __init__(self, client: TestClient, metrics: IngestMetrics) -> None:
        self._client = client
        self._metrics = metrics

    def deliver(
        self, event: dict[str, Any] | None = None, *, body: Body | None = None, headers: HeaderList | None = None
    ) -> httpx.Response:
        """Send as FusionAuth does, or with exactly these headers."""
        content = a_body(event) if body is None else body
        return self.request("POST", PATH, content=content, headers=HEADERS if headers is None else headers)

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        response: httpx.Response = self._client.request(method, path, follow_redirects=False, **options)
        return response

    def is_ready(self) -> bool:
        return self.request("GET", "/readyz").status_code == 200

    def metric(self, name: str, **labels: str) -> float:
        return self._metrics.registry.get_sample_value(name, labels) or 0.0


@contextlib.contextmanager
def open_endpoint(settings: Settings, *, is_awaited: bool = True) -> Iterator[OpenEndpoint]:
    metrics = IngestMetrics()
    with TestClient(create_app(settings, metrics)) as client:
        endpoint = OpenEndpoint(client, metrics)
        if is_awaited:
            wait_until(endpoint.is_ready, "the endpoint is ready")
        yield endpoint
