"""uvicorn's protocol with an end for each connection: by a deadline, or after a last response that can be read."""

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from surehook.ingest.http.lingering import LINGER_SECONDS
from surehook.ingest.http.response_writer import BufferedTransport, build_head
from surehook.ingest.responses import Response

# How long a stopping process still serves idle connections, so that a request already on its way is not lost. Each
# response then says that the connection closes.
IDLE_SECONDS_AT_STOP = 0.5


class ConnectionProtocol(HttpToolsProtocol):
    """Closes idle connections at once; after a response, the transport first lets the client read it."""

    buffered: BufferedTransport
    is_stopping = False
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        raw_transport = cast(asyncio.Transport, transport)
        super().connection_made(raw_transport)
        self.buffered = BufferedTransport(raw_transport, self.loop)
        self.transport = cast(asyncio.Transport, self.buffered)  # it has every method that uvicorn uses
        self.start_parser()

    def start_parser(self) -> None: ...

    def respond_and_close(self, response: Response, seconds: float = LINGER_SECONDS) -> None:
        body = b"" if self.parser.get_method() == b"HEAD" else response.body
        self.buffered.write_response(build_head(response, self.server_state.default_headers, closes=True) + body)
        self.buffered.close(seconds)
        self._forget_request()

    def close_after(self, seconds: float) -> None:
        self.cancel_deadline()
        self._deadline = self.loop.call_later(seconds, self.buffered.close_now)

    def cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.buffered.lingering is not None:
            self._forget_request()

    def pause_writing(self) -> None:
        super().pause_writing()
        self.buffered.start_write_timeout()

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.transport.is_closing():
            self.buffered.cancel_write_timeout()

    def eof_received(self) -> None:
        self.buffered.close_now()  # asyncio would close it as well, but without the write timeout

    def timeout_keep_alive_handler(self) -> None:
        self.buffered.close_now()

    def shutdown(self) -> None:
        self.is_stopping = True
        if self._is_responding():
            self.cycle.keep_alive = False
            return
        self.loop.call_later(IDLE_SECONDS_AT_STOP, self._close_if_idle)

    def connection_lost(self, exc: Exception | None) -> None:
        self.cancel_deadline()
        super().connection_lost(exc)
        self._unset_keepalive_if_required()  # uvicorn's own timer would keep a reset connection for 75 seconds
        if self.pipeline:
            # A pipelined request refers to its connection until it has run; both would stay in memory.
            self.pipeline.clear()
            self.cycle = cast(Any, None)
        self.buffered.cancel_timers()

    def _is_responding(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _close_if_idle(self) -> None:
        if self._is_responding():
            self.cycle.keep_alive = False
        elif self.buffered.lingering is None:
            self.buffered.close_now()

    def _forget_request(self) -> None:
        """Keep nothing of a request while its connection lingers, and read on."""
        self.cancel_deadline()
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.pipeline.clear()
        self.headers, self.url = [], b""
        self.cycle = self.scope = self.parser = cast(Any, None)
        self.flow.resume_reading()
