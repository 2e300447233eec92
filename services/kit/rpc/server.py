"""The gRPC server of one service: its proto services, health, and reflection where that is wanted."""

from __future__ import annotations

from collections.abc import Sequence

import grpc
from grpc_health.v1 import _async, health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from kit.clock import Clock
from kit.db.engine import Database
from kit.rpc.edge import Call, Method, RpcService, bind
from kit.rpc.pipeline import Pipeline
from kit.rpc.principal import Grants
from kit.rpc.tokens import TokenVerifier
from kit.vault import Vault

__all__ = ["Call", "RpcServer", "RpcService"]

LARGEST_MESSAGE = 16 * 1024 * 1024
LARGEST_METADATA = 64 * 1024
"""Bytes; a regional manager's token names every store of the region."""
_OPTIONS: tuple[tuple[str, int], ...] = (
    # Without this a second process would silently share the port, and calls would reach either.
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", LARGEST_MESSAGE),
    ("grpc.max_send_message_length", LARGEST_MESSAGE),
    ("grpc.max_metadata_size", LARGEST_METADATA),
    ("grpc.absolute_max_metadata_size", LARGEST_METADATA),
    # Connections are recycled so that new instances get their share of the load.
    ("grpc.max_connection_age_ms", 300_000),
    ("grpc.max_connection_age_grace_ms", 30_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
)


class PortTaken(Exception):
    """The address cannot be listened on."""


class RpcServer:
    """Serves proto services; every method has an access rule and a checked edge method, or nothing starts.

    Raises:
        ContractError: on construction, with one line for each RPC that must not be served.
    """

    def __init__(
        self,
        services: Sequence[RpcService],
        *,
        database: Database,
        verifier: TokenVerifier,
        grants: Grants,
        clock: Clock,
        vault: Vault,
        listen: str = "127.0.0.1:0",
        with_reflection: bool = False,
    ) -> None:
        self._methods = bind(services)
        self._pipeline = Pipeline(database, verifier, grants, clock, vault)
        self._listen = listen
        self._with_reflection = with_reflection
        self._server: grpc.aio.Server | None = None
        self._health = _async.HealthServicer()
        self.port = 0

    async def start(self) -> int:
        """Listens and serves; returns the port. Call it on the event loop that will serve.

        Raises:
            PortTaken: somebody else listens there.
        """
        server = grpc.aio.server(options=_OPTIONS)
        for name, methods in self._methods.items():
            handlers = {method.name.rpartition("/")[2]: self._handler(method) for method in methods}
            server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, handlers),))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        if self._with_reflection:
            names = (*self._methods, health.SERVICE_NAME, reflection.SERVICE_NAME)
            reflection.enable_server_reflection(names, server)
        try:
            self.port = server.add_insecure_port(self._listen)
        except RuntimeError:
            raise PortTaken(f"cannot listen on {self._listen}: the port is taken, or not allowed") from None
        await server.start()
        self._server = server
        await self.set_ready(ready=True)
        return self.port

    async def set_ready(self, *, ready: bool) -> None:
        """What health checks are told, for the server as a whole and for each service."""
        serving = health_pb2.HealthCheckResponse.SERVING
        state = serving if ready else health_pb2.HealthCheckResponse.NOT_SERVING
        for name in ("", *self._methods):
            await self._health.set(name, state)

    async def stop(self, grace: float) -> None:
        """Says not ready, takes no new calls, lets running ones end within `grace` seconds, then cancels them."""
        await self._health.enter_graceful_shutdown()
        if self._server is not None:
            await self._server.stop(grace)
            self._server = None

    async def wait(self) -> None:
        """Returns when the server has stopped."""
        if self._server is not None:
            await self._server.wait_for_termination()

    def _handler(self, method: Method) -> grpc.RpcMethodHandler[bytes, bytes]:
        # No (de)serializers: the pipeline does both, so that broken bytes are the caller's mistake and not ours.
        if method.streams:
            return grpc.unary_stream_rpc_method_handler(self._pipeline.stream(method))
        return grpc.unary_unary_rpc_method_handler(self._pipeline.unary(method))
