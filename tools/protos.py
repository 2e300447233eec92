"""The contracts as buf and our own rules read them: descriptor sets in which only our files count."""

from __future__ import annotations

import io
import re
import subprocess
import tarfile
import tempfile
from pathlib import Path

from google.protobuf import descriptor_pb2

from tools import codegen
from tools.machine import ROOT

# buf notes in field 8042 of a file that it was only imported: that field with {1: true}, as bytes.
_IS_IMPORT = bytes([0xD2, 0xF6, 0x03, 0x02, 0x08, 0x01])
_READS = re.compile(r"(Get|List|BatchGet|Search|Count)[A-Z]")
_OURS = "dealerloop/"
_BASES = (["describe", "--tags", "--abbrev=0", "--match", "v*"], ["rev-parse", "-q", "--verify", "main"])


def image(descriptors: bytes) -> bytes:
    """A descriptor set for buf, which then judges our files and only looks up the others."""
    files = descriptor_pb2.FileDescriptorSet.FromString(descriptors)
    for file in files.file:
        if not file.name.startswith(_OURS):
            file.MergeFromString(_IS_IMPORT)
    return files.SerializeToString()


def base() -> str:
    """The commit that callers rely on: the newest release tag, else the main branch, else HEAD; "" without any."""
    for question in (*_BASES, ["rev-parse", "-q", "--verify", "HEAD"]):
        asked = subprocess.run(["git", *question], cwd=ROOT, capture_output=True, text=True, check=False)
        if asked.returncode == 0:
            return asked.stdout.strip()
    return ""


def described_at(commit: str) -> bytes | None:
    """The descriptor set of the protos in a commit, compiled as today's are; None when it has none."""
    archive = subprocess.run(["git", "archive", commit, "proto"], cwd=ROOT, capture_output=True, check=False)
    if archive.returncode != 0:
        return None
    with tempfile.TemporaryDirectory(prefix="dealerloop-") as folder:
        with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
            for member in tar:
                content = tar.extractfile(member)  # None for a folder
                if content is not None:
                    place = Path(folder) / member.name
                    place.parent.mkdir(parents=True, exist_ok=True)
                    place.write_bytes(content.read())
        target = Path(folder) / "descriptors.binpb"
        codegen.describe(Path(folder) / "proto", target)
        return target.read_bytes()


def mutations_without_request_id(descriptors: bytes) -> list[str]:
    """Complaints about methods: what changes something can be repeated safely, and what only reads need not be.

    A method reads when its name begins with Get, List, BatchGet, Search or Count.
    """
    files = descriptor_pb2.FileDescriptorSet.FromString(descriptors)
    fields = {
        f".{file.package}.{message.name}": {field.name for field in message.field}
        for file in files.file
        for message in file.message_type
    }
    complaints = []
    for file in files.file:
        for service in file.service if file.name.startswith(_OURS) else ():
            for method in service.method:
                reads = bool(_READS.match(method.name))
                if reads == ("request_id" in fields[method.input_type]):
                    what = "reads but has" if reads else "changes something but has no"
                    complaints.append(f"{file.package}.{service.name}/{method.name} {what} request_id")
    return complaints
