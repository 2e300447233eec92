"""Who a complaint is about: taken from the delivery, masked, encrypted, erased; and bad input (CMP-1, GRP-06)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest

from dealerloop.customer_care.v1 import complaints_pb2 as pb
from kit.errors import InvalidArgument, NotFound, PermissionDenied
from tests.support.complaints import (
    CARE,
    CONSULTANT,
    GM,
    QUALITY,
    ComplaintDesk,
    complaint_desk,
)
from tests.support.deliveries import OTHER_STORE, STORE, recorded, vin_of
from tests.support.postgres import Cloner


@pytest.fixture
async def desk(database_urls: Cloner, tmp_path: Path) -> AsyncIterator[ComplaintDesk]:
    """Noon in the store."""
    async with complaint_desk(database_urls, tmp_path) as one:
        yield one


@pytest.mark.parametrize(
    ("field", "value", "violated", "rule"),
    [
        ("vin", "LJNTGUBS000000001", "complaint.vin", "VIN_CHECK_DIGIT"),
        ("vin", "SHORT", "complaint.vin", "VIN_LENGTH"),
        ("customer_phone", "none", "complaint.customer_phone", "PHONE_INVALID"),
        ("delivery", f"stores/{STORE}/deliveries/{UUID(int=9)}", "complaint.delivery", "DELIVERY_UNKNOWN"),
        ("delivery", f"stores/{OTHER_STORE}/deliveries/{UUID(int=1)}", "complaint.delivery", "DELIVERY_UNKNOWN"),
        ("customer", f"stores/{OTHER_STORE}/customers/{UUID(int=1)}", "complaint.customer", "CUSTOMER_UNKNOWN"),
    ],
)
async def test_what_cannot_be_is_refused_with_its_field(
    desk: ComplaintDesk, field: str, value: str, violated: str, rule: str
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await desk.open_one(**{field: value})
    assert [(one.field, one.rule) for one in caught.value.violations] == [(violated, rule)]


async def test_cmp_1_customer_and_vehicle_come_from_the_delivery(desk: ComplaintDesk) -> None:
    await desk.know_customer()
    delivery = f"stores/{STORE}/deliveries/{recorded().delivery_id}"
    unnamed = {"customer_display_name": "", "customer_phone": ""}

    one = await desk.open_one(delivery=delivery, **unnamed)

    assert (one.delivery, one.vin) == (delivery, vin_of(1))
    assert one.customer == f"stores/{STORE}/customers/{recorded().delivery.customer_id}"
    assert (one.customer_display_name, one.customer_phone) == ("李*", "139****5678")
    for fields, rule in (
        ({"vin": vin_of(2), **unnamed}, "VIN_NOT_OF_DELIVERY"),
        ({"customer": f"stores/{STORE}/customers/{UUID(int=7)}", **unnamed}, "CUSTOMER_NOT_OF_DELIVERY"),
        ({"customer_phone": ""}, "CUSTOMER_ON_FILE"),
    ):
        with pytest.raises(InvalidArgument) as caught:
            await desk.open_one(delivery=delivery, **fields)
        assert caught.value.violations[0].rule == rule


async def test_names_and_numbers_are_masked_and_revealed_on_the_record(desk: ComplaintDesk) -> None:
    await desk.know_customer()
    typed = await desk.open_one()
    known = await desk.open_one(
        customer=f"stores/{STORE}/customers/{recorded().delivery.customer_id}",
        customer_display_name="",
        customer_phone="",
    )
    nobody = await desk.open_one(customer_display_name="", customer_phone="")

    assert (typed.customer_display_name, typed.customer_phone) == ("王**", "138****8000")
    assert await reveal(desk, typed.name) == ("王小明", "+8613800138000")
    assert await reveal(desk, known.name) == ("李雷", "+8613912345678")
    with pytest.raises(NotFound) as caught:
        await reveal(desk, nobody.name)
    assert caught.value.reason == "CONTACT_UNKNOWN"


async def test_what_people_write_is_encrypted_at_rest(desk: ComplaintDesk) -> None:
    opened = await desk.open_one(customer_display_name="欧阳锋", description="欧阳锋来电", customer_phone="13800138000")
    await desk.do("PauseComplaint", opened.name, CARE, reason="等欧阳锋回电")
    await desk.do("ResumeComplaint", opened.name, CARE, note="欧阳锋回电了")
    await desk.walk(opened.name)

    for table in ("complaint", "complaint_action", "complaint_round", "outbox"):
        rows = await desk.rows(f"select to_jsonb({table})::text as row from {table}")
        everything = "".join(row["row"] for row in rows)
        assert rows
        assert "欧阳锋" not in everything
        assert "欧阳锋".encode().hex() not in everything
        assert "13800138000" not in everything


async def test_grp_06_an_erased_customer_leaves_no_word_in_complaints(desk: ComplaintDesk) -> None:
    await desk.know_customer()
    delivery = f"stores/{STORE}/deliveries/{recorded().delivery_id}"
    theirs = await desk.open_one(delivery=delivery, customer_display_name="", customer_phone="")
    other = await desk.open_one()
    await desk.walk(theirs.name)
    await desk.walk(other.name)

    await desk.erase_customer()

    after = await desk.look(theirs.name)
    assert (after.description, after.opinion, after.lesson, after.customer_display_name) == ("", "", "", "")
    assert not any(one.note for one in after.actions)
    assert (after.rounds[0].cause, after.rounds[0].satisfied) == ("", True)
    assert len(after.actions) == 9
    assert (await desk.look(other.name)).lesson


async def reveal(desk: ComplaintDesk, name: str) -> tuple[str, str]:
    request = pb.RevealComplaintContactRequest(name=name)
    method = "ComplaintService/RevealComplaintContact"
    told = await desk.call(method, request, pb.RevealedComplaintContact, token=desk.as_(CONSULTANT))
    return told.display_name, told.phone


async def test_people_of_another_store_see_and_do_nothing(desk: ComplaintDesk) -> None:
    opened = await desk.open_one()
    moved = opened.name.replace(STORE, OTHER_STORE)
    stranger = desk.as_(GM, OTHER_STORE)

    for name, error in ((opened.name, PermissionDenied), (moved, NotFound)):
        with pytest.raises(error):
            await desk.call(
                "ComplaintService/GetComplaint", pb.GetComplaintRequest(name=name), pb.Complaint, token=stranger
            )
    request = pb.PauseComplaintRequest(name=moved, reason="x")
    with pytest.raises(NotFound):
        await desk.call("ComplaintService/PauseComplaint", request, pb.Complaint, token=stranger)
    with pytest.raises(PermissionDenied):
        await desk.do("PauseComplaint", opened.name, QUALITY)
    assert (await desk.look(opened.name, QUALITY)).name == opened.name
