"""Dead letters: messages that a subscription could not handle, kept until a person retries or drops them.

They lie in the stream DLQ under `dlq.<service>.<subscription>`, as they came, with what went wrong in the headers. The
stream also takes the server's own announcement of a message that was delivered too often.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple, Protocol

from nats.js.api import RawStreamMsg
from nats.js.client import JetStreamContext
from nats.js.errors import NotFoundError as NotInStream

from kit.errors import NotFound
from kit.messaging.delivery import Delivery
from kit.messaging.event import MESSAGE_ID, TRACE_PARENT
from kit.messaging.streams import DLQ, MAX_DELIVERIES

_PREFIX: Final = "dealerloop-dlq-"
_TEXT_LIMIT: Final = 1000


class DeadLetterNotFound(NotFound):
    """There is no dead letter with that number (for this service)."""

    reason = "DEAD_LETTER_NOT_FOUND"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One dead letter: its number in DLQ, whose it is, what went wrong, and the message as it came.

    `time` is when it was set aside (UTC), `sequence` its place in the stream `stream`, `attempts` how often it was
    delivered. `headers` and `data` are the original's.
    """

    number: int
    service: str
    subscription: str
    reason: str
    error: str
    time: datetime | None
    stream: str
    sequence: int
    attempts: int
    subject: str
    headers: dict[str, str] = field(repr=False)
    data: bytes = field(repr=False)


class Retries(Protocol):
    """What can handle a dead letter again: a Consumer."""

    async def handle_again(self, subject: str, headers: dict[str, str], data: bytes) -> bool:
        """Handles it in one transaction; False when the subscription had handled it already."""
        ...


class Place(NamedTuple):
    """Whose dead letter it is, and the stream it came from."""

    service: str
    subscription: str
    stream: str


async def put(jetstream: JetStreamContext, place: Place, delivery: Delivery, *, reason: str, error: str) -> None:
    """Sets a message aside and waits until the stream has it.

    Raises:
        nats.errors.Error: it is not there; the message must not be terminated.
    """
    # The server's own headers would do again what they did the first time, such as open an atomic batch.
    headers = {name: value for name, value in delivery.headers.items() if not name.lower().startswith("nats-")}
    facts = {
        "reason": reason,
        "error": " ".join(error.split())[:_TEXT_LIMIT],
        "stream": place.stream,
        "sequence": str(delivery.sequence),
        "subject": delivery.subject,
        "attempts": str(delivery.attempts),
    }
    headers.update({_PREFIX + name: value for name, value in facts.items()})
    # The same failure told twice, because term did not arrive, is one letter; a later failure is another one.
    headers[MESSAGE_ID] = ".".join((*place, str(delivery.sequence), str(delivery.attempts)))
    await jetstream.publish(f"dlq.{place.service}.{place.subscription}", delivery.data, headers=headers, stream=DLQ)


async def entries(jetstream: JetStreamContext, service: str, *, limit: int = 100) -> list[DeadLetter]:
    """The dead letters of a service, oldest first, at most `limit`."""
    found: list[DeadLetter] = []
    for subject in (f"dlq.{service}.>", f"{MAX_DELIVERIES}.>"):
        number = 1
        while len(found) < limit:
            try:
                raw = await jetstream.get_msg(DLQ, seq=number, subject=subject, next=True, direct=True)
            except NotInStream:
                break
            letter = await _letter(jetstream, raw)
            if letter is not None and letter.service == service:
                found.append(letter)
            number = int(raw.seq or number) + 1
    return sorted(found, key=lambda letter: letter.number)[:limit]


async def show(jetstream: JetStreamContext, service: str, number: int) -> DeadLetter:
    """One dead letter.

    Raises:
        DeadLetterNotFound: there is none with that number that belongs to the service.
    """
    try:
        letter = await _letter(jetstream, await jetstream.get_msg(DLQ, seq=number, direct=True))
    except NotInStream:
        letter = None
    if letter is None or letter.service != service:
        raise DeadLetterNotFound(metadata={"number": str(number)})
    return letter


async def retry(jetstream: JetStreamContext, service: str, number: int, consumer: Retries) -> bool:
    """Handles a dead letter again and removes it when that worked; False when it had been handled meanwhile.

    It goes to its own subscription only, not through the stream: nobody else sees it again.

    Raises:
        DeadLetterNotFound: there is none with that number that belongs to the service.
        Exception: whatever the handler raises; the letter stays.
    """
    letter = await show(jetstream, service, number)
    handled = await consumer.handle_again(letter.subject, letter.headers, letter.data)
    await jetstream.delete_msg(DLQ, number)
    return handled


async def drop(jetstream: JetStreamContext, service: str, number: int) -> None:
    """Removes a dead letter for good.

    Raises:
        DeadLetterNotFound: there is none with that number that belongs to the service.
    """
    await show(jetstream, service, number)
    await jetstream.delete_msg(DLQ, number)


def lines(letters: Sequence[DeadLetter]) -> list[str]:
    """The letters as lines for a terminal, with a heading."""
    table = [("number", "set aside", "subscription", "event", "attempts", "reason", "error")]
    table += [
        (
            str(letter.number),
            letter.time.isoformat(timespec="seconds") if letter.time else "",
            letter.subscription,
            letter.headers.get("ce-type", letter.subject).rpartition(".")[2],
            str(letter.attempts),
            letter.reason,
            letter.error[:80],
        )
        for letter in letters
    ]
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]


def details(letter: DeadLetter) -> list[str]:
    """Everything about one letter except its content, as lines for a terminal."""
    facts = {
        "number": letter.number,
        "subscription": letter.subscription,
        "set aside": letter.time.isoformat() if letter.time else "",
        "reason": letter.reason,
        "error": letter.error,
        "attempts": letter.attempts,
        "stream": f"{letter.stream} {letter.sequence}",
        "subject": letter.subject,
        "bytes": len(letter.data),
        "trace": letter.headers.get(TRACE_PARENT, ""),
        **{name: value for name, value in sorted(letter.headers.items()) if name.startswith("ce-")},
    }
    return [f"{name}: {value}" for name, value in facts.items()]


async def _letter(jetstream: JetStreamContext, raw: RawStreamMsg) -> DeadLetter | None:
    if str(raw.subject).startswith(MAX_DELIVERIES):
        return await _given_up(jetstream, raw)
    headers = dict(raw.headers or {})
    _, service, subscription = str(raw.subject).split(".", 2)
    return DeadLetter(
        number=int(raw.seq or 0),
        service=service,
        subscription=subscription,
        reason=headers.get(_PREFIX + "reason", ""),
        error=headers.get(_PREFIX + "error", ""),
        time=raw.time,
        stream=headers.get(_PREFIX + "stream", ""),
        sequence=int(headers.get(_PREFIX + "sequence", 0)),
        attempts=int(headers.get(_PREFIX + "attempts", 0)),
        subject=headers.get(_PREFIX + "subject", ""),
        headers=_original(headers),
        data=raw.data or b"",
    )


async def _given_up(jetstream: JetStreamContext, raw: RawStreamMsg) -> DeadLetter | None:
    """The server's announcement, with the message that it is about fetched from its stream."""
    advisory = json.loads(raw.data or b"{}")
    stream, sequence = str(advisory["stream"]), int(advisory["stream_seq"])
    service, _, subscription = str(advisory["consumer"]).partition("-")
    try:
        original = await jetstream.get_msg(stream, seq=sequence)
        headers, data, subject = dict(original.headers or {}), original.data or b"", str(original.subject)
        error = "delivered too often without an answer"
    except NotInStream:
        headers, data, subject, error = {}, b"", "", "delivered too often; the stream no longer has it"
    return DeadLetter(
        number=int(raw.seq or 0),
        service=service,
        subscription=subscription,
        reason="max_deliveries",
        error=error,
        time=raw.time,
        stream=stream,
        sequence=sequence,
        attempts=int(advisory.get("deliveries", 0)),
        subject=subject,
        headers=_original(headers),
        data=data,
    )


def _original(headers: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.startswith("ce-") or name == TRACE_PARENT}
