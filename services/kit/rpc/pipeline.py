"""One call from its bytes to its answer: who, what, whether, then the work in one transaction."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

import grpc
import structlog
from google.protobuf.message import DecodeError, Message
from opentelemetry.trace import SpanKind, StatusCode

from kit import telemetry
from kit.clock import Clock
from kit.db.engine import Database
from kit.errors import DomainError, InvalidArgument
from kit.rpc import audit, deadlines, failures, idempotency, status
from kit.rpc.access import Decision, authorise
from kit.rpc.edge import REQUEST_ID, Call, Method
from kit.rpc.idempotency import Repetition
from kit.rpc.principal import Grants, Principal
from kit.rpc.tokens import TokenRefused, TokenVerifier
from kit.rpc.validation import validate
from kit.vault import Vault

log = structlog.get_logger()

_TRIES = 3
_BEARER = "Bearer "
_SECONDS = telemetry.histogram("dealerloop_rpc_server_seconds", "Duration of served calls", ("method", "code"))
_seconds = cache(_SECONDS.labels)

Context = grpc.aio.ServicerContext[bytes, bytes]
UnaryHandler = Callable[[bytes, Context], Awaitable[bytes]]
StreamHandler = Callable[[bytes, Context], Awaitable[None]]


class MalformedRequest(InvalidArgument):
    """The bytes are no message of the method's request type."""

    reason = "MALFORMED_REQUEST"


@dataclass(frozen=True)
class Pipeline:
    """What every call of one server goes through, in this order.

    Telemetry and deadline, authentication, the contract's rules, access, one transaction with the decided scope;
    in it: the kept response of a repeated call, the edge method, the audit trail. Then commit.
    """

    database: Database
    verifier: TokenVerifier
    grants: Grants
    clock: Clock
    vault: Vault

    def unary(self, method: Method) -> UnaryHandler:
        """The gRPC handler of a method with one response."""

        async def serve(data: bytes, context: Context) -> bytes:
            answer: list[bytes] = []

            async def work() -> None:
                request, decision = self._open(method, data, context)
                answer.append(await self._transact(method, request, decision))

            await self._serve(method, context, work, deadlines.UNARY_SECONDS)
            return answer[0]

        return serve

    def stream(self, method: Method) -> StreamHandler:
        """The gRPC handler of a method with a stream of responses, all read in one transaction."""

        async def serve(data: bytes, context: Context) -> None:
            async def work() -> None:
                request, decision = self._open(method, data, context)
                async with self.database.transaction(decision.scope, read_only=True) as session:
                    call = self._call(session, method, decision)
                    messages = cast(AsyncGenerator[Message, None], method.handler(call, request))
                    async with aclosing(messages):
                        async for message in messages:
                            await context.write(_encoded(method, message))

            # Written, not yielded: so a client that goes away ends the work here, and the transaction with it.
            await self._serve(method, context, work, deadlines.STREAM_SECONDS)

        return serve

    def _open(self, method: Method, data: bytes, context: Context) -> tuple[Message, Decision]:
        principal = self._authenticate(_metadata(context))
        try:
            request = method.request_type.FromString(data)
        except DecodeError:
            raise MalformedRequest from None
        validate(request)
        return request, authorise(method.rule, principal, request, self.grants)

    def _authenticate(self, metadata: Iterable[tuple[str, Any]]) -> Principal:
        for key, value in metadata:
            if key == "authorization" and isinstance(value, str) and value.startswith(_BEARER):
                return self.verifier.verify(value.removeprefix(_BEARER))
        raise TokenRefused("sign in first")

    async def _transact(self, method: Method, request: Message, decision: Decision) -> bytes:
        for tries_left in reversed(range(_TRIES)):
            try:
                return await self._attempt(method, request, decision)
            except Exception as error:
                # Safe: nothing of a rolled back transaction is left, and edges write nowhere else.
                if not failures.worth_another_try(error):
                    raise
                if not tries_left:
                    raise failures.TooMuchContention from error
                log.info("rpc.tried_again", method=method.name, sqlstate=failures.sqlstate(error))
            await asyncio.sleep(random.uniform(0.005, 0.05))  # noqa: S311 - spreads the tries, hides nothing
        raise AssertionError("the last try returns or raises")

    async def _attempt(self, method: Method, request: Message, decision: Decision) -> bytes:
        async with self.database.transaction(decision.scope, read_only=method.read_only) as session:
            call = self._call(session, method, decision)
            repetition = self._repetition(method, decision.principal, request)
            if repetition is not None:
                kept = await idempotency.claim(session, repetition, call.now, vault=self.vault)
                if kept is not None:
                    return kept
            response = await method.handler(call, request)
            answer = _encoded(method, response)
            if method.told:
                await audit.record(call, method, request, response)
            if repetition is not None:
                await idempotency.keep(session, repetition, answer, vault=self.vault)
            return answer

    def _repetition(self, method: Method, principal: Principal, request: Message) -> Repetition | None:
        key = getattr(request, REQUEST_ID, "") if method.repeatable else ""
        if not key:
            return None
        return Repetition.of(principal.id, method.name, key, request=request, vault=self.vault)

    def _call(self, session: Any, method: Method, decision: Decision) -> Call:
        return Call(session, decision.principal, decision.scope, self.clock.now(), method.name, decision.store_id)

    async def _serve(
        self, method: Method, context: Context, work: Callable[[], Awaitable[None]], default_seconds: float
    ) -> None:
        """Runs the work within its deadline and its span, and ends the call with the right status if it fails."""
        remaining = cast("float | None", context.time_remaining())
        seconds = default_seconds if remaining is None else remaining
        deadlines.begin(seconds)
        parent = telemetry.extract({k: v for k, v in _metadata(context) if k in telemetry.TRACE_HEADERS})
        started = time.perf_counter()
        error: DomainError | None = None
        code = grpc.StatusCode.CANCELLED
        with telemetry.span(method.name, SpanKind.SERVER, parent) as span:
            try:
                async with asyncio.timeout(seconds) as deadline:
                    await work()
                code = grpc.StatusCode.OK
            except DomainError as refusal:
                error, code = refusal, status.code_of(refusal)
                log.info("rpc.refused", method=method.name, reason=refusal.reason)
            except Exception as failure:
                if isinstance(failure, TimeoutError) and deadline.expired():
                    error = status.OutOfTime()
                    code = status.code_of(error)
                    log.warning("rpc.out_of_time", method=method.name)
                elif failures.is_unstorable(failure):
                    error = failures.NulCharacter("a text must not contain the character U+0000")
                    code = status.code_of(error)
                    log.info("rpc.refused", method=method.name, reason=error.reason)
                elif failures.will_pass(failure):
                    error = failures.DatabaseUnavailable()
                    code = status.code_of(error)
                    log.warning("rpc.database_unavailable", method=method.name, sqlstate=failures.sqlstate(failure))
                else:
                    code = grpc.StatusCode.INTERNAL
                    telemetry.note_failure(span, failure)
                    telemetry.keep_failure(method.name, failure)
                    log.exception("rpc.failed", method=method.name)
                span.set_status(StatusCode.ERROR, code.name)
            finally:
                if span.is_recording():
                    span.set_attributes(
                        {"rpc.system": "grpc", "rpc.method": method.name, "rpc.grpc.status_code": code.value[0]}
                    )
                _seconds(method.name, code.name).observe(time.perf_counter() - started)
        if error is not None:
            told = status.to_status(error)
            await context.abort(code, told.message, status.trailing(told))
        if code is not grpc.StatusCode.OK:
            # Text that we do not know may hold anything: nothing of it leaves.
            await context.abort(code, "")


def _metadata(context: Context) -> Iterable[tuple[str, Any]]:
    return context.invocation_metadata() or ()


def _encoded(method: Method, response: object) -> bytes:
    if not isinstance(response, method.response_type):
        raise TypeError(f"{method.name} must answer with {method.response_type.__name__}")
    return response.SerializeToString()
