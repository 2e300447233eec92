"""Metrics and health over HTTP, for operators; a web framework would be most of a small service's memory."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

_SECONDS = 5.0
_REASONS = {200: "OK", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}
_PLAIN = "text/plain; charset=utf-8"
_LONGEST_HEAD = 8192


class Probe:
    """Answers GET /metrics, /healthz (the process lives) and /readyz (it takes work)."""

    def __init__(self, is_ready: Callable[[], bool]) -> None:
        self._is_ready = is_ready
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self, host: str, port: int) -> int:
        """Listen; return the port. Raises OSError when the address is taken."""
        self._server = await asyncio.start_server(self._answer, host, port, limit=_LONGEST_HEAD)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self.port

    async def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                status, kind, body = self._respond(*head.split(b" ", 2)[:2])
                writer.write(
                    f"HTTP/1.1 {status} {_REASONS[status]}\r\ncontent-type: {kind}\r\n"
                    f"content-length: {len(body)}\r\nconnection: close\r\n\r\n".encode()
                )
                writer.write(body)
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TypeError):
            # Whoever asks in another language gets no answer.
            pass
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    def _respond(self, method: bytes, target: bytes) -> tuple[int, str, bytes]:
        if method != b"GET":
            return 405, _PLAIN, b"only GET\n"
        match target.partition(b"?")[0]:
            case b"/metrics":
                return 200, CONTENT_TYPE_LATEST, generate_latest()
            case b"/healthz":
                return 200, _PLAIN, b"alive\n"
            case b"/readyz" if self._is_ready():
                return 200, _PLAIN, b"ready\n"
            case b"/readyz":
                return 503, _PLAIN, b"not ready\n"
            case _:
                return 404, _PLAIN, b"no such page\n"
