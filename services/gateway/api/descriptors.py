"""The contracts at run time: descriptors, options and comments out of the descriptor set."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.api import annotations_pb2, field_behavior_pb2, http_pb2
from google.protobuf import message_factory
from google.protobuf.descriptor import (
    Descriptor,
    EnumDescriptor,
    FieldDescriptor,
    MethodDescriptor,
    ServiceDescriptor,
)
from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto, FileDescriptorProto, FileDescriptorSet
from google.protobuf.descriptor_pool import Default, DescriptorPool
from google.protobuf.message import Message

from buf.validate import validate_pb2
from dealerloop import options_pb2

OUTPUT_ONLY = field_behavior_pb2.OUTPUT_ONLY
INPUT_ONLY = field_behavior_pb2.INPUT_ONLY
REQUIRED = field_behavior_pb2.REQUIRED
IMMUTABLE = field_behavior_pb2.IMMUTABLE


@dataclass(frozen=True, slots=True)
class Contracts:
    """The services of the system and the comments on everything they speak.

    `comments` is keyed by full proto name and holds the leading comment as written, lines joined.
    """

    services: tuple[ServiceDescriptor, ...]
    comments: Mapping[str, str]

    def comment(self, full_name: str) -> str:
        """The comment of an element, or nothing."""
        return self.comments.get(full_name, "")


def default_path() -> Path:
    """Where `python -m tools.codegen` puts the descriptor set: beside the generated package."""
    import dealerloop

    return Path(next(iter(dealerloop.__path__))).parent / "descriptors.binpb"


def load(data: bytes, prefix: str = "dealerloop.", pool: DescriptorPool | None = None) -> Contracts:
    """Reads a FileDescriptorSet with source info; the files whose package starts with `prefix` are the contracts."""
    pool = pool or Default()
    files = FileDescriptorSet.FromString(data)
    services: list[ServiceDescriptor] = []
    comments: dict[str, str] = {}
    for file in files.file:
        if not file.package.startswith(prefix):
            continue
        _make_known(file, pool)
        comments.update(_comments(file))
        services.extend(pool.FindServiceByName(f"{file.package}.{service.name}") for service in file.service)
    return Contracts(tuple(services), comments)


def _make_known(file: FileDescriptorProto, pool: DescriptorPool) -> None:
    try:
        pool.FindFileByName(file.name)
    except KeyError:
        try:
            importlib.import_module(file.name.removesuffix(".proto").replace("/", ".") + "_pb2")
        except ModuleNotFoundError:
            pool.AddSerializedFile(file.SerializeToString())


def message_class(descriptor: Descriptor) -> type[Message]:
    """The Python class of a message type."""
    return message_factory.GetMessageClass(descriptor)


def behaviours(field: FieldDescriptor) -> frozenset[int]:
    """The `google.api.field_behavior` values of a field."""
    return frozenset(field.GetOptions().Extensions[field_behavior_pb2.field_behavior])


def message_of(field: FieldDescriptor) -> Descriptor:
    """The type of a message field."""
    assert field.message_type is not None
    return field.message_type


def enum_of(field: FieldDescriptor) -> EnumDescriptor:
    """The type of an enum field."""
    assert field.enum_type is not None
    return field.enum_type


def rules_of(field: FieldDescriptor) -> validate_pb2.FieldRules:
    """The protovalidate rules of a field."""
    extension: Any = validate_pb2.field
    rules: validate_pb2.FieldRules = field.GetOptions().Extensions[extension]
    return rules


def access_of(method: MethodDescriptor) -> options_pb2.Access:
    """Who may call a method; an empty option when there is none."""
    extension: Any = options_pb2.access
    access: options_pb2.Access = method.GetOptions().Extensions[extension]
    return access


def http_of(method: MethodDescriptor) -> http_pb2.HttpRule | None:
    """The http annotation of a method."""
    options = method.GetOptions()
    return options.Extensions[annotations_pb2.http] if options.HasExtension(annotations_pb2.http) else None


def is_map(field: FieldDescriptor) -> bool:
    """Whether the field is a map."""
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def find_field(descriptor: Descriptor, name: str) -> FieldDescriptor | None:
    """The field by its proto name or its JSON name."""
    field = descriptor.fields_by_name.get(name) or descriptor.fields_by_camelcase_name.get(name)
    return field if isinstance(field, FieldDescriptor) else None


def _comments(file: FileDescriptorProto) -> Iterator[tuple[str, str]]:
    texts = {
        tuple(place.path): " ".join(line.strip() for line in place.leading_comments.strip().splitlines())
        for place in file.source_code_info.location
        if place.leading_comments
    }

    def message(proto: DescriptorProto, name: str, path: tuple[int, ...]) -> Iterator[tuple[str, str]]:
        yield name, texts.get(path, "")
        for at, field in enumerate(proto.field):
            yield f"{name}.{field.name}", texts.get((*path, 2, at), "")
        for at, nested in enumerate(proto.nested_type):
            yield from message(nested, f"{name}.{nested.name}", (*path, 3, at))
        for at, nested_enum in enumerate(proto.enum_type):
            yield from enum(nested_enum, f"{name}.{nested_enum.name}", (*path, 4, at))

    def enum(proto: EnumDescriptorProto, name: str, path: tuple[int, ...]) -> Iterator[tuple[str, str]]:
        yield name, texts.get(path, "")
        for at, value in enumerate(proto.value):
            yield f"{name}.{value.name}", texts.get((*path, 2, at), "")

    for at, item in enumerate(file.message_type):
        yield from message(item, f"{file.package}.{item.name}", (4, at))
    for at, item_enum in enumerate(file.enum_type):
        yield from enum(item_enum, f"{file.package}.{item_enum.name}", (5, at))
    for at, service in enumerate(file.service):
        full = f"{file.package}.{service.name}"
        yield full, texts.get((6, at), "")
        for index, method in enumerate(service.method):
            yield f"{full}.{method.name}", texts.get((6, at, 2, index), "")
