"""The part of FusionAuth's API that concerns webhooks, as a Starlette app.

Paths, shapes and statuses are those of the published OpenAPI; `GET /api/system-configuration`, `/api/tenant`,
`/api/integration` and `/api/webhook/search` are documented and missing there.
"""

from collections.abc import Awaitable, Callable
from email.utils import formatdate

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from surehook.fusionauth.simulator import record_endpoints as records
from surehook.fusionauth.simulator import system_endpoints as system
from surehook.fusionauth.simulator.api_call import ApiCall, Handler, json_body
from surehook.fusionauth.simulator.instance import ApiKey, Instance
from surehook.fusionauth.simulator.page import POLICY, Page
from surehook.fusionauth.simulator.records import InvalidRequest

TENANT_HEADER = "X-FusionAuth-TenantId"
CALLS_WITH_BODY = ("POST", "PUT", "PATCH")
SEARCHES = ["GET", "POST"]
CHANGES = ["GET", "PUT", "PATCH"]
RECORD_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


class Api:
    """Answers requests about one installation."""

    def __init__(self, instance: Instance, page: Page | None = None) -> None:
        self.instance = instance
        self._page = page or Page()

    def app(self) -> Starlette:
        """Assembles the app: every route, the key that it needs, and its methods."""
        return Starlette(
            routes=[
                Route("/", self._open(self._show)),
                Route("/.well-known/jwks.json", self._open(system.jwks)),
                Route("/api/jwt/public-key", self._open(system.public_key)),
                Route("/api/status", self._open(lambda _: Response())),
                Route("/api/system/version", self._guarded(system.version, is_global=False)),
                Route("/api/webhook", self._of_webhooks(records.webhooks), methods=SEARCHES),
                Route("/api/webhook/search", self._of_webhooks(records.search_webhooks), methods=SEARCHES),
                Route(
                    "/api/webhook/{id}",
                    self._of_webhooks(records.webhook),
                    methods=RECORD_METHODS,
                ),
                Route("/api/tenant", self._guarded(records.tenants, is_global=False), methods=SEARCHES),
                Route("/api/tenant/search", self._guarded(records.search_tenants, is_global=False), methods=["POST"]),
                Route(
                    "/api/tenant/{id}",
                    self._guarded(records.tenant, is_global=False),
                    methods=RECORD_METHODS,
                ),
                Route("/api/key", self._guarded(system.keys)),
                Route("/api/key/generate", self._guarded(system.generate_key), methods=["POST"]),
                Route("/api/key/generate/{id}", self._guarded(system.generate_key), methods=["POST"]),
                Route("/api/key/import", self._guarded(system.import_key), methods=["POST"]),
                Route("/api/key/import/{id}", self._guarded(system.import_key), methods=["POST"]),
                Route("/api/key/search", self._guarded(system.search_keys), methods=["POST"]),
                Route("/api/key/{id}", self._guarded(system.key), methods=["GET", "PUT", "DELETE"]),
                Route(
                    "/api/system-configuration",
                    self._guarded(system.system_configuration),
                    methods=["GET", "PUT", "PATCH"],
                ),
                Route("/api/integration", self._guarded(system.integration), methods=CHANGES),
                Route(
                    "/api/system/webhook-event-log/search",
                    self._of_webhooks(system.search_log),
                    methods=SEARCHES,
                ),
                Route("/api/system/webhook-event-log/{id}", self._of_webhooks(system.log_entry)),
                Route("/api/system/webhook-attempt-log/{id}", self._of_webhooks(system.log_attempt)),
            ],
            exception_handlers={InvalidRequest: _refuse, 404: _not_found},
            middleware=[Middleware(_Dated, instance=self.instance)],
        )

    def _show(self, _: ApiCall) -> Response:
        return HTMLResponse(self._page.html(), headers={"Content-Security-Policy": POLICY})

    def _open(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            return handler(ApiCall(self.instance, request, {}))

        return endpoint

    def _of_webhooks(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        return self._guarded(handler, refuses_tenant_header=self.instance.version.refuses_tenant_header)

    def _guarded(
        self, handler: Handler, *, is_global: bool = True, refuses_tenant_header: bool = False
    ) -> Callable[[Request], Awaitable[Response]]:
        """Requires an API key, which stands in `Authorization` as it is, without `Bearer`."""

        async def endpoint(request: Request) -> Response:
            key = self._api_key(request)
            if key is None or (is_global and key.tenant_id is not None):
                return Response(status_code=401)
            if refuses_tenant_header and TENANT_HEADER in request.headers:
                return Response(status_code=401)
            body = await json_body(request) if request.method in CALLS_WITH_BODY else {}
            tenant_id = key.tenant_id or request.headers.get(TENANT_HEADER)
            return handler(ApiCall(self.instance, request, body, tenant_id))

        return endpoint

    def _api_key(self, request: Request) -> ApiKey | None:
        return self.instance.api_keys.get(request.headers.get("Authorization", ""))


class _Dated:
    """Gives responses the time of the installation's clock."""

    def __init__(self, app: ASGIApp, instance: Instance) -> None:
        self._app, self._instance = app, instance

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                date = formatdate(self._instance.now_ms() / 1000, usegmt=True).encode()
                message = {**message, "headers": [*message["headers"], (b"date", date)]}
            await send(message)

        await self._app(scope, receive, send_dated)


async def _refuse(request: Request, exc: Exception) -> Response:
    del request
    assert isinstance(exc, InvalidRequest)  # noqa: S101 - registered for it alone
    return JSONResponse(exc.as_json(), status_code=400)


async def _not_found(request: Request, exc: Exception) -> Response:
    del request, exc
    return Response(status_code=404)
