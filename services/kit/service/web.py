"""Serves an ASGI application inside the service's own event loop, started and stopped with it."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import uvicorn

from kit.rpc.server import PortTaken

_KEEP_ALIVE_SECONDS = 75


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.begun = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.begun.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the runner."""
        yield


class WebServer:
    """uvicorn without its own process management."""

    def __init__(self, app: Callable[..., Awaitable[None]], *, grace: float) -> None:
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=True,
            # Nothing here asks where a request came from, so nobody need be believed about it.
            proxy_headers=False,
            http="httptools",
            ws="none",
            # Longer than clients and proxies keep an idle connection: who closes first must not be the one who may
            # be sent a request at that very moment.
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=max(1, round(grace)),
        )
        self._server = _Server(config)
        self._socket: socket.socket | None = None
        self.port = 0

    def bind(self, host: str, port: int) -> int:
        """Take the address; return the port. Raises PortTaken."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.socket(family, socket.SOCK_STREAM)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((host.strip("[]"), port))
            listening.listen(1024)
            listening.setblocking(False)
        except OSError as error:
            listening.close()
            raise PortTaken(f"cannot listen on {host}:{port}: {error.strerror}") from None
        self._socket = listening
        self.port = int(listening.getsockname()[1])
        return self.port

    async def run(self) -> None:
        """Serve until `stop`; requests under way are finished within the grace."""
        assert self._socket is not None
        try:
            await self._server.serve(sockets=[self._socket])
        finally:
            self._socket.close()
        if not self._server.should_exit or not self._server.started:
            raise RuntimeError("the web application did not start")

    async def wait_started(self) -> None:
        """Return once requests are answered; a start that fails is raised by `run`."""
        await self._server.begun.wait()

    def stop(self) -> None:
        """Take no new requests and let `run` end."""
        self._server.should_exit = True
