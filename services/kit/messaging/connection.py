"""The connection to NATS: it comes back by itself, for as long as the process lives."""

from __future__ import annotations

from typing import Final

import nats
import nats.errors
from nats.aio.client import Client
from nats.js.client import JetStreamContext
from nats.js.errors import APIError, NoStreamResponseError, ServiceUnavailableError

from kit.log import log

REQUEST_SECONDS: Final = 5.0
_PENDING_BYTES: Final = 16 * 1024 * 1024
_SERVER_ERRORS: Final = 500

# What NATS raises while it is away; the message is not to blame.
AWAY: Final = (
    nats.errors.TimeoutError,
    nats.errors.ConnectionClosedError,
    nats.errors.ConnectionReconnectingError,
    nats.errors.ConnectionDrainingError,
    nats.errors.StaleConnectionError,
    nats.errors.NoServersError,
    nats.errors.NoRespondersError,
    nats.errors.OutboundBufferLimitError,
    nats.errors.FlushTimeoutError,
    nats.errors.UnexpectedEOF,
    NoStreamResponseError,
    ServiceUnavailableError,
    OSError,
    TimeoutError,
)


class BrokerAway(Exception):
    """NATS cannot be reached, or has no JetStream right now; the same will work later."""


async def connect(url: str, name: str) -> Client:
    """Connects to NATS under a name that operators see; several addresses are separated by commas.

    Raises:
        OSError: no server answers at the first attempt; the runner tries again.
    """
    try:
        return await nats.connect(
            [part.strip() for part in url.split(",")],
            name=name,
            error_cb=_error,
            disconnected_cb=_disconnected,
            reconnected_cb=_reconnected,
            connect_timeout=5,
            allow_reconnect=True,
            max_reconnect_attempts=-1,
            reconnect_time_wait=0.5,
            ping_interval=20,
            max_outstanding_pings=2,
            pending_size=_PENDING_BYTES,
        )
    except nats.errors.NoServersError as error:
        raise ConnectionRefusedError("no NATS server answers") from error


def client_of(jetstream: JetStreamContext) -> Client:
    """The connection under a JetStream context; the library keeps it to itself."""
    client: Client = jetstream._nc  # noqa: SLF001: there is no public way, and a second parameter everywhere is worse
    return client


def is_server_trouble(error: APIError) -> bool:
    """Whether JetStream itself is in trouble (no leader, no room), rather than the request wrong."""
    return (error.code or 0) >= _SERVER_ERRORS


async def _error(error: Exception) -> None:
    log.warning("nats.error", error=type(error).__name__, text=str(error)[:200])


async def _disconnected() -> None:
    log.warning("nats.disconnected")


async def _reconnected() -> None:
    log.info("nats.reconnected")
