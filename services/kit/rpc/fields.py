"""Questions that the kit asks of fields in descriptors."""

from __future__ import annotations

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor


def message_of(field: FieldDescriptor) -> Descriptor:
    """The message type of a message field."""
    assert field.message_type is not None
    return field.message_type


def enum_of(field: FieldDescriptor) -> EnumDescriptor:
    """The enum type of an enum field."""
    assert field.enum_type is not None
    return field.enum_type


def is_message(field: FieldDescriptor, full_name: str) -> bool:
    """Whether the field (or each of its elements) is this message, such as `google.protobuf.Timestamp`."""
    return field.type == FieldDescriptor.TYPE_MESSAGE and message_of(field).full_name == full_name


def is_map(field: FieldDescriptor) -> bool:
    """Whether the field is a map; descriptors show it as a repeated message."""
    return field.type == FieldDescriptor.TYPE_MESSAGE and message_of(field).GetOptions().map_entry


def is_single_message(field: FieldDescriptor) -> bool:
    """Whether the field is one message of our own; the well-known types count as plain values."""
    return (
        field.type == FieldDescriptor.TYPE_MESSAGE
        and not field.is_repeated
        and not message_of(field).full_name.startswith("google.")
    )
