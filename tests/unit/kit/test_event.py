from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from dealerloop.audit.v1.audit_pb2 import ActionRecorded
from dealerloop.sales.events.v1.events_pb2 import CustomerErased, DeliveryRecorded
from dealerloop.sales.v1.deliveries_pb2 import DeliveryFacts
from kit.messaging import event
from kit.messaging.event import UnreadableEvent

ID = UUID("018f4d2e-7b8a-7c11-9a55-0242ac120002")
NOW = datetime(2026, 5, 4, 9, 0, 0, 123456, tzinfo=UTC)
ERASED = CustomerErased(customer_id="c-1", store_id="bj-01", version=3)
CLASSES = {"dealerloop.sales.events.v1.CustomerErased": CustomerErased}


def headers(**changes: str) -> dict[str, str]:
    made = event.headers_for(
        event_id=ID,
        type_name="dealerloop.sales.events.v1.CustomerErased",
        source="sales",
        subject=event.subject_for(ERASED),
        time=NOW,
        epoch=4,
        key="stores/bj-01:王",
        trace=None,
    )
    return made | {name.replace("_", "-"): value for name, value in changes.items()}


def test_a_subject_names_service_thing_id_and_what_happened() -> None:
    assert event.subject_for(ERASED) == "sales.v1.customer.c-1.erased"
    assert event.subject_for(DeliveryRecorded(delivery_id=str(ID))) == f"sales.v1.delivery.{ID}.recorded"


def test_an_event_of_everybody_leaves_the_place_of_the_service_empty() -> None:
    assert event.service_of(ActionRecorded) is None
    assert event.subject_for(ActionRecorded(action_id="x")) == ".v1.audit.x.recorded"
    assert event.subject_for(ActionRecorded(action_id="x"), "scoring") == "scoring.v1.audit.x.recorded"


def test_an_event_in_a_services_package_belongs_to_that_service() -> None:
    assert event.service_of(ERASED) == "sales"


@pytest.mark.parametrize("text", ["a.b", "a*", ">", "a b", "王", "", "=", "A=20b"])
def test_every_id_has_one_token_that_nats_takes(text: str) -> None:
    token = event.subject_token(text)

    assert token
    assert not set(token) & set(".*> \t\r\n")
    assert token.isascii()


def test_different_ids_have_different_tokens() -> None:
    ids = ["a b", "a=20b", "a.b", "a=2eb", "", "=", "=3d"]

    assert len({event.subject_token(text) for text in ids}) == len(ids)


def test_a_filter_takes_all_things_of_one_event() -> None:
    assert event.subject_filter(CustomerErased, "sales") == "sales.v1.customer.*.erased"


def test_what_is_no_event_has_no_address() -> None:
    with pytest.raises(TypeError, match="DeliveryFacts has no"):
        event.address_of(DeliveryFacts)


def test_an_event_is_read_as_it_was_written() -> None:
    read = event.read("sales.v1.customer.c-1.erased", headers(), ERASED.SerializeToString(), CLASSES)

    assert (read.id, read.source, read.time, read.epoch, read.key) == (ID, "sales", NOW, 4, "stores/bj-01:王")
    assert read.message == ERASED


@pytest.mark.parametrize(
    "broken",
    [
        {"ce_id": "x"},
        {"ce_time": "yesterday"},
        {"ce_epoch": ""},
        {"ce_type": "dealerloop.sales.events.v1.Unknown"},
    ],
)
def test_a_message_with_a_broken_header_is_unreadable(broken: dict[str, str]) -> None:
    with pytest.raises(UnreadableEvent):
        event.read("s", headers(**broken), b"", CLASSES)


def test_a_message_without_headers_or_with_broken_bytes_is_unreadable() -> None:
    with pytest.raises(UnreadableEvent):
        event.read("s", None, b"", CLASSES)
    with pytest.raises(UnreadableEvent):
        event.read("s", headers(), b"\xff\xff\xff", CLASSES)
