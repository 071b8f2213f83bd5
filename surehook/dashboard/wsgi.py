"""Runs rq-dashboard, a WSGI application that reads no bodies, in threads."""

import asyncio
import io
import logging
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import unquote_to_bytes

from surehook.dashboard.guard import USER
from surehook.dashboard.headers import text_headers

log = logging.getLogger(__name__)

THREADS = 8

StartResponse = Callable[..., Callable[[bytes], object]]
Answer = tuple[int, list[tuple[bytes, bytes]], bytes]
WsgiApp = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]


def sentence_answer(status: int, text: str) -> Answer:
    headers = {**text_headers(), "Content-Length": str(len(text)), "Connection": "close"}
    return status, [(name.lower().encode(), value.encode()) for name, value in headers.items()], text.encode()


FAILED = sentence_answer(500, "This page cannot be shown: the log of the dashboard has the error's type and place.\n")


class WsgiInThreads:
    """The ASGI application around it."""

    def __init__(self, application: WsgiApp) -> None:
        self._application = application
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="dashboard")

    async def __call__(self, scope: Any, _: Any, send: Any) -> None:
        loop = asyncio.get_running_loop()
        status, headers, body = await loop.run_in_executor(self._threads, self.respond, scope)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def respond(self, scope: Any) -> Answer:
        """Runs the application. uvicorn would answer its errors without our headers."""
        try:
            return self._run(scope)
        except Exception:
            log.exception("dashboard page failed")
            return FAILED

    def _run(self, scope: Any) -> Answer:
        status, headers = 500, []

        def start_response(line: str, lines: list[tuple[str, str]], _: object = None) -> Callable[[bytes], object]:
            nonlocal status, headers
            status = int(line[:3])
            headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in lines]
            return lambda _: None

        chunks = self._application(environ_of(scope), start_response)
        try:
            return status, headers, b"".join(chunks)
        finally:
            getattr(chunks, "close", lambda: None)()


def environ_of(scope: Any) -> dict[str, Any]:
    """Translates ASGI's request into WSGI's."""
    host, port = scope["server"] or ("localhost", 0)
    environ = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(scope["raw_path"]).decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "SERVER_NAME": host,
        "SERVER_PORT": str(port or 0),
        "REMOTE_USER": scope[USER].who if scope.get(USER) else "",
        "REMOTE_ADDR": scope["client"][0] if scope["client"] else "",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in scope["headers"]:
        if b"_" in name or name in {b"content-length", b"content-type", b"transfer-encoding"}:
            continue
        key = "HTTP_" + name.decode("latin-1").upper().replace("-", "_")
        text = value.decode("latin-1")
        environ[key] = f"{environ[key]},{text}" if key in environ else text
    return environ
