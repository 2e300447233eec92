"""Makes `gen/` from `proto/`: Python messages with type stubs, and one descriptor set with comments.

Third-party contracts come from installed packages: google/api from googleapis-common-protos, google/protobuf from
grpcio-tools, and buf/validate from the descriptor that the protovalidate wheel carries.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT / "proto"
GEN = ROOT / "gen"
DESCRIPTORS = GEN / "descriptors.binpb"
_STAMP = GEN / ".stamp"
_TOOLS = ("grpcio-tools", "googleapis-common-protos", "protovalidate", "protobuf")


def fingerprint() -> str:
    """What the generated code depends on: the protos, the tool versions and this file."""
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for tool in _TOOLS:
        digest.update(f"{tool}={importlib.metadata.version(tool)}\n".encode())
    for path in sorted(PROTO.rglob("*.proto")):
        digest.update(str(path.relative_to(PROTO)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def is_current() -> bool:
    """Whether `gen/` was made from what is there now."""
    return _STAMP.is_file() and _STAMP.read_text() == fingerprint()


def validate_descriptor_set() -> bytes:
    """`buf/validate/validate.proto` and what it imports, as a FileDescriptorSet; the wheel ships no .proto file."""
    from google.protobuf import (
        descriptor_pb2,
        duration_pb2,
        field_mask_pb2,
        timestamp_pb2,
    )
    from protovalidate._gen.buf.validate import validate_pb

    files = descriptor_pb2.FileDescriptorSet()
    for module in (descriptor_pb2, duration_pb2, field_mask_pb2, timestamp_pb2):
        module.DESCRIPTOR.CopyToProto(files.file.add())
    files.file.add().ParseFromString(validate_pb.desc().proto.to_binary())
    return files.SerializeToString()


def generate() -> None:
    """Writes `gen/` anew; it appears at once or not at all.

    Raises:
        SystemExit: the protos do not compile; protoc has said why.
    """
    work = Path(tempfile.mkdtemp(prefix=".gen-", dir=ROOT))
    try:
        out = work / "out"
        out.mkdir()
        paths = _search_paths(PROTO, work)
        python = [f"--python_out={out}", f"--pyi_out={out}"]
        _protoc([*paths, *python, *_files(PROTO), "buf/validate/validate.proto"])
        describe(PROTO, out / DESCRIPTORS.name)
        (out / _STAMP.name).write_text(fingerprint())
        shutil.rmtree(GEN, ignore_errors=True)
        out.replace(GEN)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def describe(protos: Path, target: Path) -> None:
    """Writes the descriptor set of a folder of protos, with comments and with everything that they import."""
    with tempfile.TemporaryDirectory(prefix="dealerloop-") as work:
        described = f"--descriptor_set_out={target}"
        paths = _search_paths(protos, Path(work))
        _protoc([*paths, "--include_imports", "--include_source_info", described, *_files(protos)])


def _files(protos: Path) -> list[str]:
    return sorted(str(path.relative_to(protos)) for path in protos.rglob("*.proto"))


def _search_paths(protos: Path, work: Path) -> list[str]:
    """Where protoc finds ours and those of others; writes into `work`, which must live as long as protoc runs."""
    import google.api
    import grpc_tools

    common = Path(next(iter(google.api.__path__))).parent.parent
    wellknown = Path(grpc_tools.__file__).parent / "_proto"
    validate = work / "validate.binpb"
    validate.write_bytes(validate_descriptor_set())
    return [f"-I{protos}", f"-I{common}", f"-I{wellknown}", f"--descriptor_set_in={validate}"]


def _protoc(arguments: list[str]) -> None:
    command = [sys.executable, "-m", "grpc_tools.protoc", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"the protos do not compile:\n{done.stderr or done.stdout}")


if __name__ == "__main__":
    if not is_current():
        generate()
