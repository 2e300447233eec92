"""The contract of `things.proto`, compiled when it is first needed; no test of the kit depends on a real service's."""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import MutableMapping, MutableSequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from google.protobuf import descriptor_pool
from google.protobuf.descriptor import FileDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from tools.codegen import DESCRIPTORS

_PROTO = Path(__file__).with_name("things.proto")
# The pool wants to know what the contract imports before the contract itself.
_IMPORTED = (
    "google.protobuf.duration_pb2",
    "google.protobuf.field_mask_pb2",
    "google.protobuf.timestamp_pb2",
    "google.api.field_behavior_pb2",
    "buf.validate.validate_pb2",
    "dealerloop.options_pb2",
)


@cache
def contract() -> FileDescriptor:
    """The compiled file in the default pool."""
    from google.protobuf.descriptor_pb2 import FileDescriptorSet
    from grpc_tools import protoc

    for module in _IMPORTED:
        importlib.import_module(module)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "things.binpb"
        arguments = [f"-I{_PROTO.parent}", f"--descriptor_set_in={DESCRIPTORS}", f"--descriptor_set_out={out}"]
        assert protoc.main(["protoc", *arguments, _PROTO.name]) == 0
        compiled = FileDescriptorSet.FromString(out.read_bytes())
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(compiled.file[0].SerializeToString())
    return pool.FindFileByName(_PROTO.name)


def service(name: str) -> ServiceDescriptor:
    return contract().services_by_name[name]


if TYPE_CHECKING:

    class Part(Message):
        name: str
        label: str
        weight: int
        checked: bool

        def __init__(self, **fields: Any) -> None: ...

    class Thing(Message):
        name: str
        title: str
        kind: str
        state: int
        part: Part
        tags: MutableSequence[str]
        labels: MutableMapping[str, str]
        due_date: str
        make_time: Any
        span: Any
        count: int
        parts: MutableSequence[Part]
        parts_by_place: MutableMapping[str, Part]
        etag: str
        price_minor: int
        seal: bytes
        history: MutableSequence[int]
        owner_id: str

        def __init__(self, **fields: Any) -> None: ...

    class CreateThingRequest(Message):
        parent: str
        thing: Thing
        request_id: str

        def __init__(self, *, parent: str = "", thing: Thing | None = None, request_id: str = "") -> None: ...

    class UpdateThingRequest(Message):
        thing: Thing
        update_mask: Any
        request_id: str

        def __init__(self, *, thing: Thing, update_mask: Any = None, request_id: str = "") -> None: ...

    class GetThingRequest(Message):
        name: str

        def __init__(self, *, name: str = "") -> None: ...

    class RevealThingRequest(Message):
        name: str
        request_id: str
        reason: str

        def __init__(self, *, name: str = "", request_id: str = "", reason: str = "") -> None: ...

    class ListThingsRequest(Message):
        title: str

        def __init__(self, *, title: str = "") -> None: ...

    class ListThingsResponse(Message):
        things: MutableSequence[Thing]

        def __init__(self, *, things: list[Thing] | None = None) -> None: ...

    class RenameAllRequest(Message):
        title: str
        request_id: str
        reason: str

        def __init__(self, *, title: str = "", request_id: str = "", reason: str = "") -> None: ...

    class GetMineRequest(Message): ...

    class OpenThingRequest(Message):
        token: str
        request_id: str

        def __init__(self, *, token: str = "", request_id: str = "") -> None: ...

    class CountThingsRequest(Message):
        what: str

        def __init__(self, *, what: str = "") -> None: ...

    class CountThingsResponse(Message):
        count: int

        def __init__(self, *, count: int = 0) -> None: ...

    class StreamThingsRequest(Message):
        count: int
        fail: str

        def __init__(self, *, count: int = 0, fail: str = "") -> None: ...

else:
    for _name, _descriptor in contract().message_types_by_name.items():
        globals()[_name] = GetMessageClass(_descriptor)
