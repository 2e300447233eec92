"""Field masks: which fields of a resource an update changes, and which it must not."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from google.api import field_behavior_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from kit.errors import FieldViolation, InvalidArgument
from kit.rpc.fields import is_single_message

_EVERYTHING = "*"
_IDENTITY = "name"
_CONCURRENCY = "etag"


class MaskRefused(InvalidArgument):
    """The mask names something that cannot be changed; rules MASK_UNKNOWN_FIELD, MASK_OUTPUT_ONLY, FIELD_IMMUTABLE."""

    reason = "UPDATE_REFUSED"


class _Field(NamedTuple):
    descriptor: FieldDescriptor
    output_only: bool
    immutable: bool
    nested: bool  # a single message of our own; well-known types are taken as one value


def merge(target: Message, patch: Message, mask: FieldMask, *, prefix: str = "") -> None:
    """Carries the fields that the mask names from `patch` into `target`, both of one type.

    An empty mask means every field that the patch sets; output-only fields in it are passed over, since clients send
    back what they read. `*` means every field: what the patch does not set is cleared. A message named by its own path
    is replaced, except for its output-only fields. `name` identifies the resource and `etag` its state: neither is
    content. The result still has to pass `validation.validate`.

    Args:
        target: the resource as it is; changed in place, untouched when the mask is refused.
        patch: the resource as the caller sent it.
        mask: paths in proto names.
        prefix: path of the resource in the request, such as `delivery`, for the errors.

    Raises:
        InvalidArgument: unknown path, output-only field named, or an immutable field given another value.
    """
    result = type(target)()
    result.CopyFrom(target)
    found: list[FieldViolation] = []
    if not mask.paths:
        _overlay(result, patch, prefix, found)
    elif _EVERYTHING in mask.paths:
        _replace(result, patch, prefix, found)
    else:
        for path in mask.paths:
            _follow(result, patch, path, _Place(prefix, path), found)
    if found:
        raise MaskRefused("the update was refused", violations=found)
    target.CopyFrom(result)


class _Place(NamedTuple):
    prefix: str
    path: str

    @property
    def field(self) -> str:
        return f"{self.prefix}.{self.path}" if self.prefix else self.path


def _follow(target: Message, patch: Message, path: str, place: _Place, found: list[FieldViolation]) -> None:
    first, dot, rest = path.partition(".")
    field = _fields(target.DESCRIPTOR).get(first)
    if field is None or (dot and not field.nested):
        found.append(FieldViolation("update_mask", "MASK_UNKNOWN_FIELD", f"there is no field {place.path}"))
    elif field.output_only and first != _IDENTITY:
        found.append(FieldViolation("update_mask", "MASK_OUTPUT_ONLY", f"{place.path} cannot be set"))
    elif dot:
        _follow(getattr(target, first), getattr(patch, first), rest, place, found)
    else:
        _take(target, patch, field, place.field, found)


def _take(target: Message, patch: Message, field: _Field, path: str, found: list[FieldViolation]) -> None:
    """One field, replaced by the patch's value or cleared."""
    name = field.descriptor.name
    if name == _CONCURRENCY:
        return
    if field.immutable or name == _IDENTITY:
        _refuse_change(target, patch, field, path, found)
    elif field.nested and patch.HasField(name):
        _replace(getattr(target, name), getattr(patch, name), path, found)
        getattr(target, name).SetInParent()
    else:
        _copy(target, patch, field.descriptor)


def _replace(target: Message, patch: Message, prefix: str, found: list[FieldViolation]) -> None:
    for name, field in _fields(target.DESCRIPTOR).items():
        if not field.output_only:
            _take(target, patch, field, _join(prefix, name), found)


def _overlay(target: Message, patch: Message, prefix: str, found: list[FieldViolation]) -> None:
    fields = _fields(target.DESCRIPTOR)
    for descriptor, _ in patch.ListFields():
        name = descriptor.name
        field = fields[name]
        if field.output_only and name != _IDENTITY:
            continue
        if field.nested and not field.immutable:
            getattr(target, name).SetInParent()
            _overlay(getattr(target, name), getattr(patch, name), _join(prefix, name), found)
        else:
            _take(target, patch, field, _join(prefix, name), found)


def _refuse_change(target: Message, patch: Message, field: _Field, path: str, found: list[FieldViolation]) -> None:
    name = field.descriptor.name
    # An empty identity is left out rather than changed, and a nested resource is the one that the parent holds.
    absent = name == _IDENTITY and not getattr(patch, name)
    if not absent and getattr(target, name) != getattr(patch, name):
        found.append(FieldViolation(path, "FIELD_IMMUTABLE", "cannot be changed once it is set"))


def _copy(target: Message, patch: Message, descriptor: FieldDescriptor) -> None:
    name = descriptor.name
    if descriptor.has_presence and not patch.HasField(name):
        target.ClearField(name)
        return
    value = getattr(patch, name)
    # The constructor takes every kind of value (lists, maps, messages) alike; assignment does not.
    target.ClearField(name)
    target.MergeFrom(type(target)(**{name: value}))


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


@cache
def _fields(descriptor: Descriptor) -> dict[str, _Field]:
    fields = {}
    for field in descriptor.fields:
        behaviours = field.GetOptions().Extensions[field_behavior_pb2.field_behavior]
        fields[field.name] = _Field(
            field,
            output_only=field_behavior_pb2.OUTPUT_ONLY in behaviours,
            immutable=field_behavior_pb2.IMMUTABLE in behaviours,
            nested=is_single_message(field),
        )
    return fields
