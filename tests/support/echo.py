"""The contract of `echo.proto`, compiled when it is first needed, and bound as the gateway binds the real ones."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from google.protobuf.message import Message

from gateway.api import bindings, descriptors
from gateway.api.bindings import Binding, Bindings
from gateway.api.descriptors import Contracts, message_class
from tools.codegen import DESCRIPTORS

_PROTO = Path(__file__).with_name("echo.proto")
SERVICE = "dealerloop.echo.v1.EchoService"


def compile_set(folder: Path, name: str) -> bytes:
    """A descriptor set with comments of one proto file of the folder; its imports are in the pool already."""
    from grpc_tools import protoc

    with tempfile.TemporaryDirectory() as made:
        out = Path(made) / "set.binpb"
        arguments = [f"-I{folder}", f"--descriptor_set_in={DESCRIPTORS}", f"--descriptor_set_out={out}"]
        assert protoc.main(["protoc", *arguments, "--include_source_info", name]) == 0
        return out.read_bytes()


@cache
def contracts() -> Contracts:
    import google.protobuf.duration_pb2
    import google.protobuf.field_mask_pb2
    import google.protobuf.timestamp_pb2  # noqa: F401 - the pool wants them before what imports them

    return descriptors.load(compile_set(_PROTO.parent, _PROTO.name), prefix="dealerloop.echo")


@cache
def bound() -> Bindings:
    return bindings.read(contracts())


def binding(method: str) -> Binding:
    """The first binding of a method."""
    return next(each for each in bound().all if each.method.name == method)


def make(name: str, **fields: Any) -> Message:
    """A message of the contract."""
    descriptor = contracts().services[0].file.message_types_by_name[name]
    return message_class(descriptor)(**fields)


if TYPE_CHECKING:

    class CreateItemRequest(Message):
        item: Any

    class UpdateItemRequest(Message):
        item: Any

    class BreakItemRequest(Message):
        how: str
        etag: str

    class GetItemRequest(Message):
        name: str

    class ListItemsRequest(Message): ...

    class GetOpenRequest(Message): ...

    class WatchItemsRequest(Message):
        count: int
        break_after: int

    class Item(Message):
        def __init__(self, **fields: Any) -> None: ...

    class EchoResponse(Message):
        def __init__(self, **fields: Any) -> None: ...

else:
    for _descriptor in contracts().services[0].file.message_types_by_name.values():
        globals()[_descriptor.name] = message_class(_descriptor)
