"""The Starlette app: routes, error handlers and lifespan, assembled in one place."""

import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.requests import Request
from starlette.responses import Response as StarletteResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from surehook.ingest import responses
from surehook.ingest.auth.credentials import authenticator_from
from surehook.ingest.background import BackgroundTasks
from surehook.ingest.endpoint import WebhookEndpoint
from surehook.ingest.http.fast_path import FastPath
from surehook.ingest.limits import Limits
from surehook.ingest.metrics import IngestMetrics
from surehook.ingest.refusals import Refusals
from surehook.ingest.responses import Response
from surehook.ingest.routes import facts_of, spellings
from surehook.ingest.spool.spool import Spool
from surehook.ingest.store.acceptor import Acceptor
from surehook.ingest.transactional.coordinator import Coordinator
from surehook.shared.settings import OFF, Settings

if TYPE_CHECKING:
    from surehook.ingest.accept_tracer import AcceptTracer

CHECK_SECONDS = 1.0  # at the start; with a spool, or a balancer, no start has to wait for a store that hangs


class App(Starlette):
    """Passes deliveries directly to the endpoint: Starlette's routing would cost as much as parsing the event."""

    webhook_paths: tuple[str, ...] = ()
    endpoint: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_http = scope["type"] == "http"
        if self.endpoint is not None and is_http and scope["path"] in self.webhook_paths and scope["method"] == "POST":
            await self.endpoint(scope, receive, send)
            return
        await super().__call__(scope, receive, send)


def create_app(
    settings: Settings,
    metrics: IngestMetrics,
    limits: Limits | None = None,
    fast_path: FastPath | None = None,
    refusals: Refusals | None = None,
    tracer: "AcceptTracer | None" = None,
) -> Starlette:
    """The ASGI app of one ingest process. Its endpoint is also given to the `fast_path`.

    Raises:
        Misconfigured: no authentication is configured, or a key is invalid.
    """
    authenticator = authenticator_from(settings, metrics)
    request_limits = limits or Limits(settings)
    acceptors: list[Acceptor] = []
    spools: list[Spool] = []
    all_refusals = refusals or Refusals(metrics)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        acceptor = Acceptor(settings, metrics)
        acceptors.append(acceptor)
        spool = Spool(settings, metrics, acceptor) if settings.spool_dir != OFF else None
        if spool is not None:
            spool.open()
            spools.append(spool)
        coordinator = Coordinator(settings, metrics, acceptor.session)
        endpoint = WebhookEndpoint(
            authenticator,
            request_limits,
            acceptor,
            metrics,
            all_refusals,
            max_body_bytes=settings.max_body_bytes,
            coordinator=coordinator if settings.transactional_events else None,
            tracer=tracer,
        )
        # The route answers other methods with 405. Starlette treats an instance of a class as a plain ASGI app.
        for path in app.webhook_paths:
            app.router.routes.insert(0, Route(path, endpoint, methods=["POST"]))
        app.endpoint = ServerErrorMiddleware(endpoint, handler=_internal_error)
        background = BackgroundTasks()
        storing = background.start(acceptor.run())
        # uvicorn accepts connections only after this, so the first deliveries find the store checked.
        await acceptor.wait_until_checked(CHECK_SECONDS)
        spooling = background.start(spool.run()) if spool is not None else None
        counting = background.start(metrics.update_gauges(request_limits))
        refreshing = background.start(authenticator.run(), may_end=True)
        coordinating = background.start(coordinator.run())
        if fast_path is not None:
            fast_path.endpoint = endpoint
        yield
        background.stop()
        refreshing.cancel()
        coordinator.stop()
        await coordinating  # it deregisters through the session that stops next
        if spool is not None and spooling is not None:
            spool.stop()
            await spooling
        acceptor.stop()
        counting.cancel()
        await storing

    async def readyz(_: Request) -> StarletteResponse:
        is_ready = bool(acceptors) and _takes_events(acceptors[-1], spools) and authenticator.is_ready
        return _response(responses.READY if is_ready else responses.NOT_READY)

    async def not_found(request: Request, _: Exception) -> StarletteResponse:
        all_refusals.count_request("not_found", **facts_of(request))
        return _response(responses.NOT_FOUND)

    async def method_not_allowed(request: Request, exc: Exception) -> StarletteResponse:
        all_refusals.count_request("method_not_allowed", **facts_of(request))
        allow = exc.headers if isinstance(exc, HTTPException) else None  # RFC 9110, section 15.5.6
        response = _response(responses.METHOD_NOT_ALLOWED)
        response.headers.update(allow or {})
        return response

    app = App(
        routes=[Route("/healthz", _healthz), Route("/readyz", readyz)],
        exception_handlers={404: not_found, 405: method_not_allowed, Exception: _internal_error},
        lifespan=lifespan,
    )
    # No redirect for a trailing slash: FusionAuth would follow it with a GET, and take the 200 as delivered.
    app.router.redirect_slashes = False
    app.webhook_paths = spellings(settings.webhook_path)
    return app


def _takes_events(acceptor: Acceptor, spools: list[Spool]) -> bool:
    can_spool = bool(spools) and spools[-1].can_take and not acceptor.session.is_unusable
    return acceptor.is_ready or can_spool


async def _healthz(_: Request) -> StarletteResponse:
    return _response(responses.ALIVE)


async def _internal_error(_: Request, __: Exception) -> StarletteResponse:
    return _response(responses.INTERNAL_ERROR)


def _response(response: Response) -> StarletteResponse:
    headers = {name.decode(): value.decode() for name, value in response.headers}
    return StarletteResponse(response.body, response.status, headers, media_type="application/json")
