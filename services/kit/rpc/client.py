"""Calls to another service: who we are, how long we wait, what we try again, and its errors as our errors."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator
from functools import cache
from typing import Any, Protocol, TypeVar, cast

import grpc
from google.protobuf.message import Message
from opentelemetry.trace import SpanKind, StatusCode

from kit import telemetry
from kit.log import log
from kit.rpc import deadlines, status
from kit.rpc.edge import REQUEST_ID
from kit.rpc.server import LARGEST_MESSAGE, LARGEST_METADATA

R = TypeVar("R", bound=Message)

_TRIES = 3
_FIRST_PAUSE = 0.05
_SECONDS = telemetry.histogram("dealerloop_rpc_client_seconds", "Duration of calls made", ("method", "code"))
_seconds = cache(_SECONDS.labels)
_SERVICE_CONFIG = json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})
_OPTIONS: tuple[tuple[str, int | str], ...] = (
    ("grpc.service_config", _SERVICE_CONFIG),
    ("grpc.max_receive_message_length", LARGEST_MESSAGE),
    ("grpc.max_send_message_length", LARGEST_MESSAGE),
    ("grpc.max_metadata_size", LARGEST_METADATA),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # A neighbour that restarts is back in seconds; the default waits up to two minutes before it looks again.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    # Neighbours are reached directly, whatever the machine's proxy for the outside world is.
    ("grpc.enable_http_proxy", 0),
)


class TokenSource(Protocol):
    """Who the calls are made by."""

    def service_token(self) -> str:
        """A token that is valid now."""
        ...


class Peer:
    """Another service, reached over one channel with client-side load balancing."""

    def __init__(self, target: str, signer: TokenSource, *, service: str) -> None:
        """Nothing is connected before the first call.

        Args:
            target: `127.0.0.1:50051`, or `dns:///sales:50051` for all addresses of a headless name.
            signer: signs the calls that bring no token of their own.
            service: name of the service, for logs.
        """
        self.service = service
        self._target = target
        self._signer = signer
        self._channel: grpc.aio.Channel | None = None
        self._unary: dict[tuple[str, type[Message]], Any] = {}
        self._streams: dict[tuple[str, type[Message]], Any] = {}

    async def call(
        self,
        method: str,
        request: Message,
        response_type: type[R],
        *,
        timeout: float,  # noqa: ASYNC109 - it becomes the deadline that the other service is told
        token: str | None = None,
    ) -> R:
        """One request, one response.

        UNAVAILABLE is tried again, three times in all within the deadline, where that is safe: for reads, and for
        writes that carry a request_id.

        Args:
            method: `dealerloop.sales.v1.CustomerService/BatchGetContacts`.
            timeout: seconds for all tries together; less when the call being served here ends earlier.
            token: of the person on whose behalf the call is made; our own service's when not given.

        Raises:
            DomainError: as the other service raised it; Unavailable when it does not answer in time.
            PeerFailed: it has a fault of its own.
        """
        send = self._unary.get((method, response_type))
        if send is None:
            send = self._open().unary_unary(f"/{method}", type(request).SerializeToString, response_type.FromString)
            self._unary[method, response_type] = send
        until = time.monotonic() + deadlines.left(timeout)
        started = time.perf_counter()
        code = "OK"
        with telemetry.span(method, SpanKind.CLIENT) as span:
            try:
                return cast(R, await self._tried(send, request, method, token, until))
            except BaseException as error:
                code = _code(error)
                span.set_status(StatusCode.ERROR, code)
                raise
            finally:
                _seconds(method, code).observe(time.perf_counter() - started)

    async def stream(
        self,
        method: str,
        request: Message,
        response_type: type[R],
        *,
        timeout: float,  # noqa: ASYNC109 - it becomes the deadline that the other service is told
        token: str | None = None,
    ) -> AsyncIterator[R]:
        """One request, many responses; leaving the loop early ends the call.

        Never tries again, since responses may have been used already. Raises as `call` does.
        """
        send = self._streams.get((method, response_type))
        if send is None:
            send = self._open().unary_stream(f"/{method}", type(request).SerializeToString, response_type.FromString)
            self._streams[method, response_type] = send
        seconds = deadlines.left(timeout)
        if seconds <= 0:
            raise status.OutOfTime
        # No span here: a generator may be left open in the middle, and its span would stay the current one.
        call = send(request, timeout=seconds, metadata=self._metadata(token))
        try:
            async for message in call:
                yield message
        except grpc.aio.AioRpcError as error:
            raise self._error(method, error) from error
        finally:
            call.cancel()

    async def close(self) -> None:
        """Ends the channel; calls in flight get a second."""
        channel, self._channel = self._channel, None
        self._unary.clear()
        self._streams.clear()
        if channel is not None:
            await channel.close(1)

    async def _tried(self, send: Any, request: Message, method: str, token: str | None, until: float) -> Any:
        metadata = self._metadata(token)
        number = 0
        while True:
            number += 1
            seconds = until - time.monotonic()
            if seconds <= 0:
                raise status.OutOfTime
            try:
                return await send(request, timeout=seconds, metadata=metadata)
            except grpc.aio.AioRpcError as error:
                pause = _pause(number)
                final = number == _TRIES or time.monotonic() + pause >= until
                if error.code() is not grpc.StatusCode.UNAVAILABLE or final or not is_repeatable(request):
                    raise self._error(method, error) from error
            await asyncio.sleep(pause)

    def _error(self, method: str, error: grpc.aio.AioRpcError) -> Exception:
        """Our error for theirs; a fault that they tell nothing about is told here, for the trace of the call."""
        found = status.from_rpc_error(error)
        if isinstance(found, status.PeerFailed):
            log.warning("peer.failed", peer=self.service, method=method, code=error.code().name)
        return found

    def _open(self) -> grpc.aio.Channel:
        if self._channel is None:
            self._channel = grpc.aio.insecure_channel(self._target, options=_OPTIONS)
        return self._channel

    def _metadata(self, token: str | None) -> tuple[tuple[str, str], ...]:
        bearer = self._signer.service_token() if token is None else token
        return (("authorization", f"Bearer {bearer}"), *telemetry.inject().items())


def _pause(number: int) -> float:
    return random.uniform(0.5, 1.5) * _FIRST_PAUSE * float(2**number)  # noqa: S311 - spreads the tries, hides nothing


def is_repeatable(request: Message) -> bool:
    """Whether sending the request twice does no more than sending it once."""
    if REQUEST_ID not in request.DESCRIPTOR.fields_by_name:
        return True
    return bool(getattr(request, REQUEST_ID))


def _code(error: BaseException) -> str:
    cause = error.__cause__
    if isinstance(cause, grpc.aio.AioRpcError):
        return cause.code().name
    return "DEADLINE_EXCEEDED" if isinstance(error, status.OutOfTime) else "CANCELLED"
