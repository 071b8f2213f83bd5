"""Clients of the dashboard, in process."""

import time
from collections.abc import Callable
from typing import Any

from starlette.testclient import TestClient

from surehook.dashboard.app import create_dashboard
from surehook.dashboard.bulk_runner import BulkRunner
from surehook.dashboard.logins import Logins
from surehook.shared.settings import Settings


def site_client(
    settings: Settings,
    logins: Logins | None = None,
    clock: Callable[[], float] = time.time,
    runner: BulkRunner | None = None,
) -> TestClient:
    return client_of(create_dashboard(settings, logins, clock, runner))


def rq_client(settings: Settings) -> TestClient:
    """Its paths are those of rq-dashboard, below `/rq`."""
    return client_of(create_dashboard(settings), "/rq")


def client_of(app: Any, path: str = "") -> TestClient:
    return TestClient(app, base_url=f"http://localhost{path}", follow_redirects=False)
