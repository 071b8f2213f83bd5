"""The dashboard: our pages, and rq-dashboard under `/rq/`, behind one guard."""

import logging
import secrets
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import redis
from redis.exceptions import RedisError
from starlette.applications import Starlette
from starlette.responses import RedirectResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from surehook.dashboard.bulk_runner import BulkRunner
from surehook.dashboard.guard import Guard
from surehook.dashboard.logins import Logins
from surehook.dashboard.rq_app import RQ_PATH, create_rq_dashboard
from surehook.dashboard.server import serve
from surehook.dashboard.site import Site
from surehook.dashboard.tokens import Tokens
from surehook.dashboard.views import PAGES
from surehook.dashboard.views.actions import build_actions
from surehook.dashboard.wsgi import WsgiInThreads
from surehook.shared.encryption import BodyCipher
from surehook.shared.errors import Misconfigured
from surehook.shared.index_key import KEY_BYTES, IndexKey, read_or_none
from surehook.shared.keys import Keys
from surehook.shared.settings import Settings, host_and_port
from surehook.shared.store import connect, wait_for_store
from surehook.shared.store_errors import advice, fault_of

log = logging.getLogger(__name__)

STORE_TIMEOUT_SECONDS = 10.0
BACKLOG = 128
STATIC = Path(__file__).parent / "static"


def serve_dashboard(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        Misconfigured: the address is taken.
        StoreUnavailable: there is no store to show.
    """
    wait_for_store(settings)
    host, port = host_and_port(settings.dashboard_bind)
    try:
        listener = socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=BACKLOG
        )
    except OSError as exc:
        raise Misconfigured(f"SUREHOOK_DASHBOARD_BIND={settings.dashboard_bind}: {exc.strerror or exc}") from exc
    store = connect(settings, timeout_seconds=STORE_TIMEOUT_SECONDS)
    runner = BulkRunner(build_actions(settings, store))
    application = create_dashboard(settings, runner=runner, key=read_installation_key(settings, store))
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).setLevel(logging.ERROR)  # they warn of each invalid request
    log.info("dashboard listening", extra={"address": settings.dashboard_bind})
    runner.start()
    serve(application, listener)
    runner.stop_and_wait()


def create_dashboard(
    settings: Settings,
    logins: Logins | None = None,
    clock: Callable[[], float] = time.time,
    runner: BulkRunner | None = None,
    key: bytes | None = None,
) -> ASGIApp:
    """Builds the pages. Without a runner they start bulk actions, which another dashboard runs.

    Without the key of the installation its forms and cookies are its own.
    """
    store: Any = connect(settings, timeout_seconds=STORE_TIMEOUT_SECONDS)
    path = urlsplit(settings.dashboard_url or "").path.rstrip("/")
    tokens = Tokens(settings, key or secrets.token_bytes(KEY_BYTES))
    site = Site(settings, store, path, tokens, clock, runner)
    rq_dashboard = WsgiInThreads(create_rq_dashboard(settings, store, path).wsgi_app)
    routes: list[BaseRoute] = [page.route(site) for page in PAGES]
    routes += [
        Route(RQ_PATH, RedirectResponse(f"{path}{RQ_PATH}/"), methods=["GET"]),
        Mount(RQ_PATH, rq_dashboard),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
    own = Starlette(routes=routes, exception_handlers={404: site.not_found, 405: site.not_allowed})
    own.router.redirect_slashes = False
    return WithoutPath(Guard(own, settings, logins or Logins(), tokens), path)


def read_installation_key(settings: Settings, store: redis.Redis) -> bytes | None:
    """The key that all dashboards of an installation have; None if it cannot be read, or is to be made and cannot."""
    cipher = BodyCipher(settings.encryption_keys)
    key, reason = None, "SUREHOOK_ENCRYPTION_KEYS cannot decrypt the key of the installation"
    try:
        key = read_or_none(IndexKey(store, Keys(settings.key_prefix), cipher))
    except RedisError as exc:  # the pages say what else it refuses
        reason = advice(fault_of(exc))
    if key is None:
        log.warning("dashboard's forms end with its process", extra={"reason": reason})
    return key


class WithoutPath:
    """Cuts off the path of `DASHBOARD_URL`. A proxy may send it, or cut it off itself."""

    def __init__(self, app: ASGIApp, path: str) -> None:
        self._app = app
        self._path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = scope["path"]
        if self._path and (given == self._path or given.startswith(f"{self._path}/")):
            scope = {
                **scope,
                "path": given.removeprefix(self._path) or "/",
                "raw_path": scope["raw_path"].removeprefix(self._path.encode()) or b"/",
            }
        await self._app(scope, receive, send)
