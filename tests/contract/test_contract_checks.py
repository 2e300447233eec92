"""The checks of ./dev check find what they are there to find."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2

from tools import checking, codegen, protos
from tools.machine import ROOT

CONFIG = ROOT / "proto" / "buf.yaml"


@pytest.fixture
def files() -> descriptor_pb2.FileDescriptorSet:
    return descriptor_pb2.FileDescriptorSet.FromString(codegen.DESCRIPTORS.read_bytes())


def sales(files: descriptor_pb2.FileDescriptorSet) -> descriptor_pb2.FileDescriptorProto:
    return next(file for file in files.file if any(s.name == "DeliveryService" for s in file.service))


def buf(folder: Path, command: str, now: bytes, *more: str) -> str:
    image = folder / "now.binpb"
    image.write_bytes(protos.image(now))
    words = [str(checking.BUF), command, str(image), "--config", str(CONFIG), *more]
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout


def test_the_contracts_pass(files: descriptor_pb2.FileDescriptorSet, tmp_path: Path) -> None:
    assert buf(tmp_path, "lint", files.SerializeToString()) == ""
    assert protos.mutations_without_request_id(files.SerializeToString()) == []


def test_a_badly_named_field_is_found(files: descriptor_pb2.FileDescriptorSet, tmp_path: Path) -> None:
    sales(files).message_type[0].field[0].name = "BadName"

    assert "BadName" in buf(tmp_path, "lint", files.SerializeToString())


def test_a_removed_field_is_found(files: descriptor_pb2.FileDescriptorSet, tmp_path: Path) -> None:
    before = tmp_path / "before.binpb"
    before.write_bytes(protos.image(files.SerializeToString()))
    gone = sales(files).message_type[0].field.pop()

    said = buf(tmp_path, "breaking", files.SerializeToString(), "--against", str(before), "--exclude-imports")

    assert gone.name in said


def test_a_change_without_request_id_and_a_read_with_one_are_found(files: descriptor_pb2.FileDescriptorSet) -> None:
    file = sales(files)
    service = next(one for one in file.service if one.name == "DeliveryService")
    messages = {message.name: message for message in file.message_type}
    create = messages["CreateDeliveryRequest"]
    kept = [field for field in create.field if field.name != "request_id"]
    del create.field[:]
    create.field.extend(kept)
    messages["GetDeliveryRequest"].field.add(name="request_id", number=99)

    complaints = protos.mutations_without_request_id(files.SerializeToString())

    assert complaints == [
        f"{file.package}.{service.name}/CreateDelivery changes something but has no request_id",
        f"{file.package}.{service.name}/GetDelivery reads but has request_id",
    ]


def test_the_contracts_of_a_commit_are_compiled_as_todays_are() -> None:
    described = protos.described_at(protos.base())

    assert described is not None
    names = {file.name for file in descriptor_pb2.FileDescriptorSet.FromString(described).file}
    assert "dealerloop/options.proto" in names
    assert "google/api/annotations.proto" in names
