"""What an event is on the wire: a protobuf message with CloudEvents headers in binary mode."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final, cast
from urllib.parse import quote, unquote
from uuid import UUID

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import DecodeError, Message

from dealerloop import options_pb2

MESSAGE_ID: Final = "Nats-Msg-Id"
TRACE_PARENT: Final = "traceparent"
_CONTENT_TYPE: Final = "application/protobuf"
_PLAIN_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]+")
_OWNED: Final = re.compile(r"dealerloop\.(\w+)\.events\.")
_PLAIN: Final = "/:_.-"


class UnreadableEvent(ValueError):
    """A message that can never become an event: a header, the type or the bytes are missing or wrong."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event as a handler sees it.

    `type` is the proto full name, `source` the publishing service, `time` when it was written (UTC), `epoch` the
    generation of the source's database, `subject` the NATS subject, `key` the ordering key.
    """

    id: UUID
    type: str
    source: str
    time: datetime
    epoch: int
    subject: str
    message: Message
    key: str
    headers: Mapping[str, str] = field(repr=False)


def address_of(message_class: type[Message]) -> options_pb2.EventAddress:
    """The `(dealerloop.event)` option of an event message.

    Raises:
        TypeError: the message is no event.
    """
    return _address(message_class.DESCRIPTOR)


def is_event(message_class: type[Message]) -> bool:
    """Whether the message has the option that makes it an event."""
    try:
        return bool(_address(message_class.DESCRIPTOR))
    except TypeError:
        return False


@cache
def _address(descriptor: Descriptor) -> options_pb2.EventAddress:
    # The generated stubs do not know that this is an extension of MessageOptions.
    option: Any = options_pb2.event
    options: Any = descriptor.GetOptions()
    if not options.HasExtension(option):
        raise TypeError(f"{descriptor.full_name} has no (dealerloop.event) option, so it is no event")
    return cast(options_pb2.EventAddress, options.Extensions[option])


def service_of(message: Message | type[Message]) -> str | None:
    """The service whose event this is, or None when every service publishes it under its own name.

    `dealerloop.<service>.events.v1` belongs to that service; any other package, such as `dealerloop.audit.v1`, to
    whoever publishes.
    """
    match = _OWNED.match(message.DESCRIPTOR.full_name)
    return match[1] if match else None


def subject_for(message: Message, service: str | None = None) -> str:
    """`<service>.v1.<aggregate>.<id>.<verb>`; without a service (see `service_of`) it begins with the dot.

    Characters of the id that NATS does not take in a subject are written as `=` and their code in hex, so that every
    id has one subject of its own.
    """
    id_field, owner, aggregate, verb = _subject(message.DESCRIPTOR)
    return f"{owner or service or ''}.v1.{aggregate}.{subject_token(str(getattr(message, id_field)))}.{verb}"


@cache
def _subject(descriptor: Descriptor) -> tuple[str, str | None, str, str]:
    address = _address(descriptor)
    owner = _OWNED.match(descriptor.full_name)
    return address.id_field, owner[1] if owner else None, address.aggregate, address.verb


def subject_filter(message_class: type[Message], service: str) -> str:
    """The subjects of all events of this class in the stream of `service`."""
    address = _address(message_class.DESCRIPTOR)
    return f"{service}.v1.{address.aggregate}.*.{address.verb}"


def subject_token(text: str) -> str:
    """`text` as one token of a subject; never empty."""
    if _PLAIN_TOKEN.fullmatch(text):
        return text
    return "".join(c if _PLAIN_TOKEN.fullmatch(c) else "".join(f"={b:02x}" for b in c.encode()) for c in text) or "="


def headers_for(
    *,
    event_id: UUID,
    type_name: str,
    source: str,
    subject: str,
    time: datetime,
    epoch: int,
    key: str,
    trace: str | None,
) -> dict[str, str]:
    """The headers of one event; `subject` is the NATS subject, `trace` a W3C traceparent."""
    identity = str(event_id)
    _, _, aggregate, token, _ = subject.split(".")
    headers = {
        MESSAGE_ID: identity,
        "ce-specversion": "1.0",
        "ce-id": identity,
        "ce-type": type_name,
        "ce-source": source,
        "ce-time": time.astimezone(UTC).isoformat(),
        "ce-subject": f"{aggregate}/{token}",
        "ce-epoch": str(epoch),
        "ce-partitionkey": quote(key, safe=_PLAIN),
        "content-type": _CONTENT_TYPE,
    }
    if trace:
        headers[TRACE_PARENT] = trace
    return headers


def read(subject: str, headers: Mapping[str, str] | None, data: bytes, classes: Mapping[str, type[Message]]) -> Event:
    """The event that a message carries; `classes` maps the proto full names that are expected here.

    Raises:
        UnreadableEvent: it is none of these events, or it is broken.
    """
    headers = headers or {}
    try:
        type_name = headers["ce-type"]
        return Event(
            id=UUID(headers["ce-id"]),
            type=type_name,
            source=headers["ce-source"],
            time=datetime.fromisoformat(headers["ce-time"]),
            epoch=int(headers["ce-epoch"]),
            subject=subject,
            message=classes[type_name].FromString(data),
            key=unquote(headers["ce-partitionkey"]),
            headers=headers,
        )
    except (KeyError, ValueError, DecodeError) as error:
        raise UnreadableEvent(f"{type(error).__name__}: {error}") from error
