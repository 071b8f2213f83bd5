"""Serves the simulated API on an address, in a thread of its own."""

import asyncio
import socket
import threading
from typing import Self

import uvicorn

from surehook.fusionauth.simulator.api import Api
from surehook.fusionauth.simulator.instance import Instance
from surehook.fusionauth.simulator.page import Page
from surehook.shared.errors import Misconfigured

START_SECONDS = 10.0


class ApiServer:
    """The API of an installation; `with` starts and stops it. Port 0 takes a free one."""

    def __init__(self, instance: Instance, *, page: Page | None = None, host: str = "127.0.0.1", port: int = 0) -> None:
        try:
            self._listener = socket.create_server((host, port))
        except OSError as exc:
            raise Misconfigured(f"the simulator cannot listen on {host}:{port}: {exc.strerror}") from exc
        config = uvicorn.Config(
            Api(instance, page).app(),
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,  # the installation has a clock of its own
            lifespan="off",
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="simulated-api", daemon=True)

    @property
    def url(self) -> str:
        host, port = self._listener.getsockname()[:2]
        return f"http://{host}:{port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(START_SECONDS)
        self._listener.close()

    def _run(self) -> None:
        asyncio.run(self._server.serve(sockets=[self._listener]))
