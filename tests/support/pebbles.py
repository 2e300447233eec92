"""The events of `pebbles.proto`, compiled when they are first needed."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from google.protobuf import descriptor_pool
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from tools.codegen import DESCRIPTORS

_PROTO = Path(__file__).with_name("pebbles.proto")


@cache
def contract() -> FileDescriptor:
    from google.protobuf.descriptor_pb2 import FileDescriptorSet
    from grpc_tools import protoc

    import dealerloop.options_pb2  # noqa: F401 - the pool wants it before what imports it

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "pebbles.binpb"
        arguments = [f"-I{_PROTO.parent}", f"--descriptor_set_in={DESCRIPTORS}", f"--descriptor_set_out={out}"]
        assert protoc.main(["protoc", *arguments, _PROTO.name]) == 0
        compiled = FileDescriptorSet.FromString(out.read_bytes())
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(compiled.file[0].SerializeToString())
    return pool.FindFileByName(_PROTO.name)


if TYPE_CHECKING:

    class PebbleThrown(Message):
        pebble_id: str
        version: int
        text: str

        def __init__(self, *, pebble_id: str = "", version: int = 0, text: str = "") -> None: ...

    class PebbleSunk(Message):
        pebble_id: str

        def __init__(self, *, pebble_id: str = "") -> None: ...

    class Silence(Message):
        def __init__(self, *, why: str = "") -> None: ...

else:
    for _name, _descriptor in contract().message_types_by_name.items():
        globals()[_name] = GetMessageClass(_descriptor)
