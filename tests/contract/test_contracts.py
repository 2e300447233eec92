"""What holds for every contract, now and for those to come: read from the descriptors, not from a list of today's."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from google.api import annotations_pb2, field_behavior_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldOptions,
    FileDescriptorProto,
    FileDescriptorSet,
    MessageOptions,
    MethodOptions,
)
from google.protobuf.descriptor_pool import DescriptorPool

from dealerloop import options_pb2
from gateway.imports.uploads import UPLOADS
from tools import codegen

OURS = "dealerloop"
# Called by hand-written routes: the page of a survey's link, which is HTML, and the upload of files.
WITHOUT_REST = {
    "dealerloop.customer_care.v1.SurveyService.GetPublicSurvey",
    "dealerloop.customer_care.v1.SurveyService.SubmitPublicSurvey",
    # One multipart request for both.
    *(f"{upload.contract.full_name}.{rpc}" for upload in UPLOADS for rpc in ("CreateImport", "AppendImportData")),
}
# Facts that happen once and never change: nothing newer of the same thing can follow.
HAPPENS_ONCE = {
    "dealerloop.audit.v1.ActionRecorded",
    "dealerloop.aftersales.events.v1.VisitFinished",
    "dealerloop.customer_care.events.v1.DataCorrectionRequested",
    "dealerloop.customer_care.events.v1.ComplaintClockFired",
    "dealerloop.sales.events.v1.DailyHandoverMissing",
}
# Words in a field's name that say that it holds a person's data or a secret.
PERSONAL = {
    *("phone", "mobile", "telephone", "email", "wechat", "address", "plate", "birth", "birthday", "gender", "age"),
    *("surname", "nickname", "username", "password", "passport", "licence", "license", "note", "comment", "remark"),
    *("text", "texts", "answer", "answers", "display", "full", "first", "last", "name", "id_number", "id_card"),
}
# What is called so and is no person's; each of them looked at by a human.
NOT_PERSONAL = {
    "dealerloop.gateway.v1.StoreFacts.display_name",  # the store's
    "dealerloop.gateway.v1.StaffFacts.display_name",  # a colleague's at work, as lists name him; no customer's
    "dealerloop.gateway.v1.Calendar.name",  # a resource name
    "dealerloop.aftersales.events.v1.FirstServiceChanged.first_service",  # a date of the vehicle
}


@cache
def files() -> tuple[FileDescriptorProto, ...]:
    """Our contracts, with their comments."""
    described = FileDescriptorSet.FromString(codegen.DESCRIPTORS.read_bytes())
    return tuple(file for file in described.file if file.package.partition(".")[0] == OURS)


@cache
def pool() -> DescriptorPool:
    made = DescriptorPool()
    for file in FileDescriptorSet.FromString(codegen.DESCRIPTORS.read_bytes()).file:
        made.Add(file)
    return made


@cache
def methods() -> tuple[MethodDescriptor, ...]:
    named = [f"{file.package}.{service.name}" for file in files() for service in file.service]
    return tuple(method for name in named for method in pool().FindServiceByName(name).methods)


@cache
def messages() -> tuple[Descriptor, ...]:
    """Every message, the nested ones too."""

    def with_nested(message: Descriptor) -> Iterator[Descriptor]:
        yield message
        for nested in message.nested_types:
            yield from with_nested(nested)

    top = [pool().FindMessageTypeByName(f"{file.package}.{one.name}") for file in files() for one in file.message_type]
    return tuple(found for message in top for found in with_nested(message))


def read(options: Any, kind: Any, extension: Any) -> Any:
    """The value of an option, or None; options of a pool of its own are read from their bytes."""
    parsed = kind.FromString(options.SerializeToString())
    return parsed.Extensions[extension] if parsed.HasExtension(extension) else None


def access(method: MethodDescriptor) -> Any:
    return read(method.GetOptions(), MethodOptions, options_pb2.access)


def verb(method: MethodDescriptor) -> str:
    """`get`, `post`, `patch`, …; empty when it is no part of the REST API."""
    http = read(method.GetOptions(), MethodOptions, annotations_pb2.http)
    return http.WhichOneof("pattern") or "" if http is not None else ""


def event_address(message: Descriptor) -> Any:
    return read(message.GetOptions(), MessageOptions, options_pb2.event)


def output_only(field: FieldDescriptor) -> bool:
    parsed = FieldOptions.FromString(field.GetOptions().SerializeToString())
    return field_behavior_pb2.OUTPUT_ONLY in parsed.Extensions[field_behavior_pb2.field_behavior]


def within(message: Descriptor, seen: set[str] | None = None) -> Iterator[FieldDescriptor]:
    """The fields of a message and of everything of ours in it."""
    seen = set() if seen is None else seen
    if message.full_name in seen:
        return
    seen.add(message.full_name)
    for field in message.fields:
        yield field
        for message_type in ours(field):
            yield from within(message_type, seen)


def ours(field: FieldDescriptor) -> list[Descriptor]:
    """The message type of a field when it is one of ours."""
    message = field.message_type
    return [message] if message is not None and message.full_name.startswith(f"{OURS}.") else []


def events() -> list[Descriptor]:
    return [message for message in messages() if event_address(message) is not None]


def personal(name: str) -> bool:
    return bool(PERSONAL & {name, *name.split("_")})


def test_every_method_says_who_may_call_it() -> None:
    silent = [method.full_name for method in methods() if not getattr(access(method), "scope", 0)]

    assert methods()
    assert not silent


def test_what_people_may_call_is_in_the_rest_api_and_what_only_services_call_is_not() -> None:
    for method in methods():
        for_services = access(method).scope == options_pb2.SCOPE_SERVICE
        assert bool(verb(method)) is not (for_services or method.full_name in WITHOUT_REST), method.full_name


def test_whatever_is_no_reading_has_a_request_id_and_no_reading_has_one() -> None:
    for method in methods():
        has = "request_id" in method.input_type.fields_by_name
        if verb(method):
            assert has is (verb(method) != "get"), method.full_name
        elif not method.server_streaming:
            assert has is not method.name.startswith(("Get", "BatchGet", "List")), method.full_name


def test_every_list_comes_in_pages_or_as_a_stream() -> None:
    lists = [method for method in methods() if method.name.startswith("List")]

    assert lists
    for method in lists:
        request, response = method.input_type.fields_by_name, method.output_type.fields_by_name
        if method.server_streaming:
            continue
        assert {"page_size", "page_token"} <= set(request), method.full_name
        assert "next_page_token" in response, method.full_name


def test_every_update_names_its_fields_and_the_state_that_was_read() -> None:
    updates = [method for method in methods() if verb(method) == "patch"]

    assert updates
    for method in updates:
        mask = method.input_type.fields_by_name.get("update_mask")
        assert mask is not None, method.full_name
        assert "etag" in method.output_type.fields_by_name, method.full_name


def test_what_clients_send_back_cannot_set_the_state_or_a_time_of_the_server() -> None:
    sent = [one for method in methods() for field in method.input_type.fields for one in ours(field)]

    assert sent
    for message in sent:
        for field in message.fields:
            if field.name in {"state", "create_time", "update_time", "publish_time"}:
                assert output_only(field), field.full_name


def test_instants_and_days_are_called_so() -> None:
    for field in (field for message in messages() for field in message.fields):
        instant = getattr(field.message_type, "full_name", "") == "google.protobuf.Timestamp"
        assert instant is field.name.endswith("_time"), field.full_name
        if field.name == "date" or field.name.endswith("_date"):
            assert field.type == FieldDescriptor.TYPE_STRING, field.full_name


def test_every_event_has_an_address_that_its_fields_can_fill() -> None:
    for message in events():
        address = event_address(message)
        assert address.aggregate, message.full_name
        assert address.verb.endswith("ed"), f"{message.full_name}: an event tells what happened"
        field = message.fields_by_name[address.id_field]
        assert field.type == FieldDescriptor.TYPE_STRING, field.full_name

    addresses = [(m.file.package, event_address(m).aggregate, event_address(m).verb) for m in events()]
    assert len(set(addresses)) == len(addresses)


def test_every_message_of_an_events_package_is_an_event_or_a_part_of_one() -> None:
    spoken = {message.full_name for method in methods() for message in (method.input_type, method.output_type)}
    told = {message.full_name for message in events()}
    parts = {field.message_type.full_name for event in events() for field in within(event) if field.message_type}

    for message in messages():
        if ".events." in message.full_name:
            assert message.full_name in told | parts | spoken, message.full_name


def test_every_event_of_something_that_changes_tells_its_version() -> None:
    # Of what is closed in revisions, the revision is the version.
    without = {m.full_name for m in events() if not {"version", "revision"} & {field.name for field in within(m)}}

    assert without == HAPPENS_ONCE


def test_no_event_has_a_place_for_personal_data() -> None:
    found = {field.full_name for event in events() for field in within(event) if personal(field.name)}

    assert found == NOT_PERSONAL


def test_a_field_for_personal_data_is_recognised() -> None:
    for name in ("phone", "display_name", "customer_name", "plate", "contact_phone", "birth_date", "id_number", "note"):
        assert personal(name), name
    for name in ("customer_id", "vin", "series", "store_id", "consultant_id", "delivery_date", "version"):
        assert not personal(name), name


def test_every_element_has_a_comment() -> None:
    silent = [name for file in files() for name in _without_comment(file)]

    assert not silent


def _without_comment(file: FileDescriptorProto) -> Iterator[str]:
    commented = {
        tuple(place.path)
        for place in file.source_code_info.location
        if place.leading_comments.strip() or place.trailing_comments.strip()
    }
    for path, name in _elements(file):
        if path not in commented:
            yield f"{file.name}: {name}"


def _elements(file: FileDescriptorProto) -> Iterator[tuple[tuple[int, ...], str]]:
    """Every element with its path in the file, as the descriptor of files numbers them."""
    for number, enum in enumerate(file.enum_type):
        yield from _enum((5, number), enum)
    for number, message in enumerate(file.message_type):
        yield from _message((4, number), message)
    for number, service in enumerate(file.service):
        yield (6, number), service.name
        for place, method in enumerate(service.method):
            yield (6, number, 2, place), f"{service.name}.{method.name}"
    for number, extension in enumerate(file.extension):
        yield (7, number), extension.name


def _message(path: tuple[int, ...], message: DescriptorProto) -> Iterator[tuple[tuple[int, ...], str]]:
    if message.options.map_entry:
        return
    yield path, message.name
    for number, field in enumerate(message.field):
        yield (*path, 2, number), f"{message.name}.{field.name}"
    for number, nested in enumerate(message.nested_type):
        yield from _message((*path, 3, number), nested)
    for number, enum in enumerate(message.enum_type):
        yield from _enum((*path, 4, number), enum)


def _enum(path: tuple[int, ...], enum: EnumDescriptorProto) -> Iterator[tuple[tuple[int, ...], str]]:
    yield path, enum.name
    for number, value in enumerate(enum.value):
        yield (*path, 2, number), f"{enum.name}.{value.name}"
