"""The ingest process: uvicorn with the app, and the metrics on an address of their own."""

import gc
import logging
import os
import signal
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import uvicorn
from prometheus_client import disable_created_metrics

from surehook.ingest.app import create_app
from surehook.ingest.http.fast_path import FastPath
from surehook.ingest.http.protocol import WebhookProtocol, protocol_for
from surehook.ingest.limits import Limits
from surehook.ingest.listener import BACKLOG, listen
from surehook.ingest.metrics import IngestMetrics
from surehook.ingest.refusals import Refusals
from surehook.ingest.spool.spool import check_spool
from surehook.ingest.tls import tls_options
from surehook.ingest.tls_server import TlsServer
from surehook.shared.metrics_server import serve_metrics
from surehook.shared.process_metrics import ProcessMetrics
from surehook.shared.scale import SCALE_PATH, Scale
from surehook.shared.service_manager import ServiceManager
from surehook.shared.settings import Settings
from surehook.shared.store_metrics import StoreGauges
from surehook.shared.tracing import open_traces

if TYPE_CHECKING:
    from surehook.ingest.accept_tracer import AcceptTracer

log = logging.getLogger(__name__)

NO_RELOAD = "SIGHUP reloads `surehook ingest --processes N`: restart this process"
GARBAGE_THRESHOLD = (20_000, 20, 50)


class Server(uvicorn.Server):
    """uvicorn's server; it reports through a pipe to the supervisor when it accepts connections."""

    def __init__(
        self,
        config: uvicorn.Config,
        limits: Limits,
        count_refusal: Callable[[str], None],
        serving: int | None,
        service: ServiceManager,
    ) -> None:
        super().__init__(config)
        self._limits = limits
        self._count_refusal = count_refusal
        self._serving = serving
        self._service = service
        self._is_asked_to_reload = False

    def ask_to_reload(self, *_: object) -> None:
        """Handle SIGHUP where there is no supervisor that could replace this process: it goes on."""
        self._is_asked_to_reload = True  # a handler of a signal must not write to the log

    def stop(self, *_: object) -> None:
        """Handle a signal. Before startup has finished, this makes the server shut down without serving a request."""
        self.should_exit = True
        self._service.stopping()

    async def on_tick(self, counter: int) -> bool:
        """Called by uvicorn ten times a second while its event loop runs."""
        self._service.alive()
        if self._is_asked_to_reload:
            self._is_asked_to_reload = False
            log.warning("reload refused", extra={"reason": NO_RELOAD})
        return await super().on_tick(counter)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        context = self.config.ssl
        await super().startup(sockets if context is None else [])
        if context is not None:
            for listener in sockets or []:
                server = TlsServer(listener, context, self._create_protocol, self._limits, self._count_refusal)
                self.servers.append(cast(Any, server))
        if self._serving is not None and not self.should_exit:
            os.write(self._serving, b"1")
            os.close(self._serving)
        if not self.should_exit:
            self._service.ready()

    def _create_protocol(self) -> WebhookProtocol:
        config: Any = self.config
        protocol: WebhookProtocol = config.http_protocol_class(
            config=config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return protocol


def serve(settings: Settings) -> None:
    """Serve in this process until SIGTERM or SIGINT; requests in progress are answered first.

    Raises:
        Misconfigured: no authentication is configured, a key or certificate is invalid, or an address is taken.
    """
    disable_created_metrics()  # type: ignore[no-untyped-call] # a second series for every counter, and the workers' have none
    metrics = IngestMetrics()
    listener = listen(settings.bind)
    metrics.registry.register(StoreGauges(settings))
    metrics.registry.register(ProcessMetrics())
    serve_metrics(settings.metrics_bind, metrics.registry, {SCALE_PATH: Scale(settings)})
    run(settings, metrics, listener, service=ServiceManager())


def run(
    settings: Settings,
    metrics: IngestMetrics,
    listener: socket.socket,
    serving: int | None = None,
    service: ServiceManager | None = None,
) -> None:
    """Serve on a listening socket.

    Raises:
        Misconfigured: no authentication is configured, or the folder of the spool cannot be used.
    """
    check_spool(settings)
    limits = Limits(settings)
    limits.fit_to_file_limit()
    refusals = Refusals(metrics)
    fast_path = FastPath(settings.webhook_path)
    tracer = _open_tracer()
    config = uvicorn.Config(
        create_app(settings, metrics, limits, fast_path, refusals, tracer),
        http=protocol_for(limits, refusals.count, fast_path),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=settings.keep_alive,
        timeout_graceful_shutdown=int(settings.grace),
        backlog=BACKLOG,
        **tls_options(settings),
    )
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).setLevel(logging.WARNING)
    if settings.durability == "memory":
        log.warning("store durability disabled", extra={"reason": "SUREHOOK_DURABILITY=memory loses events"})
    server = Server(config, limits, refusals.count, serving, service or ServiceManager({}))
    # uvicorn handles signals only while its loop runs, and afterwards raises again the one that stopped it. With these
    # handlers a signal during startup is not lost, and a clean stop has exit status 0.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, server.stop)
    if serving is None:
        signal.signal(signal.SIGHUP, server.ask_to_reload)
    log.info("ingest server listening", extra={"address": f"{settings.bind}{settings.webhook_path}"})
    _tune_garbage_collector()
    server.run(sockets=[listener])
    if tracer is not None:
        tracer.close()


def _open_tracer() -> "AcceptTracer | None":
    traces = open_traces("surehook-ingest")
    if traces is None:
        return None
    from surehook.ingest.accept_tracer import AcceptTracer  # noqa: PLC0415 - only there with the extra

    return AcceptTracer(traces)


def _tune_garbage_collector() -> None:
    """Collect garbage rarely: deliveries create no reference cycles, and searching for them took 5 % of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLD)
