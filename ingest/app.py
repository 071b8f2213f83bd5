"""The app: its routes, its errors and its lifespan, assembled in one place."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ingest import answers
from ingest.answers import Answer
from ingest.door import Door
from ingest.intake import Intake
from ingest.metrics import DoorMetrics
from ingest.proof import proof_from
from ingest.transactions import Transactions
from shared.settings import Settings


def create_app(settings: Settings, metrics: DoorMetrics) -> Starlette:
    """The ASGI app of one ingest process.

    Raises:
        Misconfigured: no proof is configured, or a key of it is none.
    """
    proof = proof_from(settings, metrics)
    intakes: list[Intake] = []

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        intake = Intake(settings, metrics)
        intakes.append(intake)
        transactions = Transactions(settings, metrics) if settings.transactional_events else None
        door = Door(proof, intake, metrics, max_body_bytes=settings.max_body_bytes, transactions=transactions)
        # First of all routes; a class instance is a plain ASGI app to Route, without Request and Response around it.
        app.router.routes.insert(0, Route(settings.webhook_path, door, methods=["POST"]))
        running = [asyncio.create_task(part.run()) for part in (intake, transactions) if part is not None]
        refreshing = asyncio.create_task(proof.run())
        yield
        refreshing.cancel()
        if transactions is not None:
            transactions.stop()
        intake.stop()
        await asyncio.gather(*running)

    async def readyz(_: Request) -> Response:
        is_ready = bool(intakes) and intakes[-1].is_ready and proof.is_ready
        return _response(answers.READY if is_ready else answers.NOT_READY)

    app = Starlette(
        routes=[Route("/healthz", _healthz), Route("/readyz", readyz)],
        exception_handlers={404: _not_found, 405: _method_not_allowed, Exception: _internal_error},
        lifespan=lifespan,
    )
    # A path with a slash too many is another path: a redirect would tell a stranger that there is a door.
    app.router.redirect_slashes = False
    return app


async def _healthz(_: Request) -> Response:
    return _response(answers.ALIVE)


async def _not_found(_: Request, __: Exception) -> Response:
    return _response(answers.NOT_FOUND)


async def _method_not_allowed(_: Request, exc: Exception) -> Response:
    allow = exc.headers if isinstance(exc, HTTPException) else None  # RFC 9110, section 15.5.6
    response = _response(answers.METHOD_NOT_ALLOWED)
    response.headers.update(allow or {})
    return response


async def _internal_error(_: Request, __: Exception) -> Response:
    return _response(answers.INTERNAL_ERROR)


def _response(answer: Answer) -> Response:
    headers = {name.decode(): value.decode() for name, value in answer.headers}
    return Response(answer.body, answer.status, headers, media_type="application/json")
