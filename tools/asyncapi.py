"""`python -m tools.asyncapi [FILE]` prints the AsyncAPI document of all events, or writes it where it is kept."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import Default

from dealerloop import options_pb2
from gateway.api import descriptors
from gateway.api.descriptors import Contracts
from gateway.api.schemas import Form, Schemas
from gateway.streams import AUDITED

Document = dict[str, Any]
_SERVICE = re.compile(r"dealerloop\.(\w+)\.events\.v1\.")
_INFO = {
    "title": "Dealerloop events",
    "version": "1",
    "description": (
        "Facts that the services tell each other over NATS JetStream. The payload is the protobuf message; its schema"
        " is shown here as its JSON form. Attributes travel as CloudEvents headers in binary mode. No event carries"
        " personal data: a customer is an id, and who may, asks for more."
    ),
    "license": {"name": "Apache-2.0"},
}
_HEADERS = {
    "type": "object",
    "required": ["Nats-Msg-Id", "ce-id", "ce-type", "ce-source", "ce-time", "ce-epoch"],
    "properties": {
        "Nats-Msg-Id": {
            "type": "string",
            "format": "uuid",
            "description": "The event's id; JetStream drops repetitions.",
        },
        "ce-specversion": {"type": "string", "const": "1.0"},
        "ce-id": {"type": "string", "format": "uuid", "description": "The event's id (UUIDv7)."},
        "ce-type": {"type": "string", "description": "Full name of the protobuf message."},
        "ce-source": {"type": "string", "description": "The publishing service."},
        "ce-time": {"type": "string", "format": "date-time", "description": "When it was written."},
        "ce-subject": {"type": "string", "description": "Kind and id of the thing that changed."},
        "ce-epoch": {
            "type": "string",
            "description": "The life of the source's database; a new one asks for a snapshot.",
        },
        "ce-partitionkey": {"type": "string", "description": "Events of one key come in order."},
        "traceparent": {"type": "string", "description": "W3C trace context."},
    },
}


def document() -> Document:
    """The AsyncAPI 3.0 document, made from the contracts and their comments."""
    data = descriptors.default_path().read_bytes()
    contracts = descriptors.load(data)
    schemas = Schemas(contracts)
    channels: Document = {}
    operations: Document = {}
    messages: Document = {}
    for event in _events(FileDescriptorSet.FromString(data)):
        messages[event.name] = _message(event, contracts, schemas)
        owner = _SERVICE.match(event.full_name)
        for service in [owner[1]] if owner else AUDITED:
            name = f"{service}.{event.name}"
            channels[name] = _channel(service, event, contracts)
            operations[f"tell.{name}"] = {
                "action": "send",
                "channel": {"$ref": f"#/channels/{name}"},
                "summary": f"{service} tells it on the stream {AUDITED[service]}.",
            }
    return {
        "asyncapi": "3.0.0",
        "info": _INFO,
        "defaultContentType": "application/protobuf",
        "channels": dict(sorted(channels.items())),
        "operations": dict(sorted(operations.items())),
        "components": {
            "messages": dict(sorted(messages.items())),
            "schemas": {"Headers": _HEADERS, **dict(sorted(schemas.components.items()))},
        },
    }


def text() -> str:
    """The document as the repository keeps it."""
    made: str = yaml.safe_dump(document(), sort_keys=False, allow_unicode=True, width=120)
    return "# Made from proto/ by `python -m tools.asyncapi`; not written by hand.\n" + made


def _events(files: FileDescriptorSet) -> Iterator[Descriptor]:
    for file in files.file:
        for message in file.message_type:
            if message.options.HasExtension(options_pb2.event):  # type: ignore[arg-type]  # an extension of MessageOptions
                yield Default().FindMessageTypeByName(f"{file.package}.{message.name}")


def _channel(service: str, event: Descriptor, contracts: Contracts) -> Document:
    address: Any = event.GetOptions().Extensions[options_pb2.event]  # type: ignore[index]  # as above
    return {
        "address": f"{service}.v1.{address.aggregate}.{{{address.id_field}}}.{address.verb}",
        "description": _line(contracts.comment(event.full_name)),
        "parameters": {
            address.id_field: {"description": _line(contracts.comment(f"{event.full_name}.{address.id_field}"))}
        },
        "messages": {event.name: {"$ref": f"#/components/messages/{event.name}"}},
    }


def _message(event: Descriptor, contracts: Contracts, schemas: Schemas) -> Document:
    return {
        "name": event.full_name,
        "summary": _line(contracts.comment(event.full_name)),
        "headers": {"$ref": "#/components/schemas/Headers"},
        "payload": schemas.message(event, Form.REPLY),
    }


def _line(comment: str) -> str:
    return " ".join(comment.split())


def main(arguments: list[str]) -> None:
    """Writes the document to the file that is named, else to standard output."""
    if arguments:
        Path(arguments[0]).write_text(text(), encoding="utf-8")
    else:
        sys.stdout.write(text())


if __name__ == "__main__":
    main(sys.argv[1:])
