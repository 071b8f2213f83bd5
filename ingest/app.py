"""The app: its routes, its errors and its lifespan, assembled in one place."""

import contextlib
from collections.abc import AsyncIterator

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
from surehook.ingest.responses import Response
from surehook.ingest.store.acceptor import Acceptor
from surehook.ingest.transactional.coordinator import Coordinator
from surehook.shared.settings import Settings


class App(Starlette):
    """Deliveries go straight to the door: the layers of routing cost as much as reading the event does."""

    webhook_path = ""
    door: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_http = scope["type"] == "http"
        if self.door is not None and is_http and scope["path"] == self.webhook_path and scope["method"] == "POST":
            await self.door(scope, receive, send)
            return
        await super().__call__(scope, receive, send)


def create_app(
    settings: Settings, metrics: IngestMetrics, bounds: Limits | None = None, entrance: FastPath | None = None
) -> Starlette:
    """The ASGI app of one ingest process. Its door is also given to the `entrance`, for the short way.

    Raises:
        Misconfigured: no proof is configured, or a key of it is none.
    """
    proof = authenticator_from(settings, metrics)
    held = bounds or Limits(settings)
    intakes: list[Acceptor] = []

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        intake = Acceptor(settings, metrics)
        intakes.append(intake)
        transactions = Coordinator(settings, metrics, intake.link)
        asked = transactions if settings.transactional_events else None
        door = WebhookEndpoint(proof, held, intake, metrics, max_body_bytes=settings.max_body_bytes, transactions=asked)
        # The route is for the other methods. A class instance is a plain ASGI app to it, without Request and Response.
        app.router.routes.insert(0, Route(settings.webhook_path, door, methods=["POST"]))
        app.door = ServerErrorMiddleware(door, handler=_internal_error)
        vitals = BackgroundTasks()
        running = vitals.start(intake.run())
        # No connection is taken before: the first deliveries need not be refused for a store that is all right.
        await intake.wait_until_checked()
        counting = vitals.start(metrics.keep_counting(held))
        refreshing = vitals.start(proof.run(), may_end=True)
        asking = vitals.start(transactions.run())
        if entrance is not None:
            entrance.door = door
        yield
        vitals.stop()
        refreshing.cancel()
        transactions.stop()
        await asking  # before the link goes that it says its last words on
        intake.stop()
        counting.cancel()
        await running

    async def readyz(_: Request) -> StarletteResponse:
        is_ready = bool(intakes) and intakes[-1].is_ready and proof.is_ready
        return _response(responses.READY if is_ready else responses.NOT_READY)

    app = App(
        routes=[Route("/healthz", _healthz), Route("/readyz", readyz)],
        exception_handlers={404: _not_found, 405: _method_not_allowed, Exception: _internal_error},
        lifespan=lifespan,
    )
    # A path with a slash too many is another path: a redirect would tell a stranger that there is a door.
    app.router.redirect_slashes = False
    app.webhook_path = settings.webhook_path
    return app


async def _healthz(_: Request) -> StarletteResponse:
    return _response(responses.ALIVE)


async def _not_found(_: Request, __: Exception) -> StarletteResponse:
    return _response(responses.NOT_FOUND)


async def _method_not_allowed(_: Request, exc: Exception) -> StarletteResponse:
    allow = exc.headers if isinstance(exc, HTTPException) else None  # RFC 9110, section 15.5.6
    response = _response(responses.METHOD_NOT_ALLOWED)
    response.headers.update(allow or {})
    return response


async def _internal_error(_: Request, __: Exception) -> StarletteResponse:
    return _response(responses.INTERNAL_ERROR)


def _response(answer: Response) -> StarletteResponse:
    headers = {name.decode(): value.decode() for name, value in answer.headers}
    return StarletteResponse(answer.body, answer.status, headers, media_type="application/json")
