"""`dlq list|show|retry|drop` on the command line."""

import asyncio
import sys
from collections.abc import Iterable
from typing import Final

from nats.js.client import JetStreamContext

from kit.errors import DomainError
from kit.messaging import dlq
from kit.messaging.connection import connect
from kit.messaging.consumer import Consumer
from kit.messaging.streams import ensure_dlq
from kit.service.context import KitContext
from kit.service.definition import Service

_CONNECT_SECONDS: Final = 5.0


async def run(service: Service, context: KitContext, action: str, number: int) -> int:
    """Do one action on the service's dead letters; return the exit code: 1 when it did not work."""
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            client = await connect(context.settings.nats_url, f"{service.name}-dlq")
    except OSError:
        return _say(["NATS cannot be reached."], failed=True)
    try:
        jetstream = client.jetstream()
        await ensure_dlq(jetstream, context.settings.stream_replicas)
        return await _act(service, context, jetstream, action, number)
    except DomainError as error:
        return _say([error.message], failed=True)
    finally:
        await client.close()


async def _act(service: Service, context: KitContext, jetstream: JetStreamContext, action: str, number: int) -> int:
    match action:
        case "list":
            letters = await dlq.entries(jetstream, service.name)
            return _say(dlq.lines(letters) if letters else ["There are no dead letters."])
        case "show":
            return _say(dlq.details(await dlq.show(jetstream, service.name, number)))
        case "drop":
            await dlq.drop(jetstream, service.name, number)
            return _say([f"Dead letter {number} is dropped."])
        case _:
            return await _retry(service, context, jetstream, number)


async def _retry(service: Service, context: KitContext, jetstream: JetStreamContext, number: int) -> int:
    letter = await dlq.show(jetstream, service.name, number)
    subscription = next((it for it in service.subscriptions if it.name == letter.subscription), None)
    if subscription is None:
        return _say([f"{service.name} has no subscription {letter.subscription} any more."], failed=True)
    consumer = Consumer(subscription, context.database, jetstream, context.clock, service=service.name)
    try:
        handled = await dlq.retry(jetstream, service.name, number, consumer)
    except Exception as error:
        # The person at the terminal needs to know why; the letter stays where it is.
        return _say([f"It failed again: {type(error).__name__}: {error}"], failed=True)
    return _say([f"Dead letter {number} is handled." if handled else f"Dead letter {number} had been handled already."])


def _say(lines: Iterable[str], *, failed: bool = False) -> int:
    stream = sys.stderr if failed else sys.stdout
    stream.write("".join(f"{line}\n" for line in lines))
    return 1 if failed else 0
