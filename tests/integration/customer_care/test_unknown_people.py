"""Deliveries of which a list knew neither customer nor consultant (GRP-05, CARE-01)."""

from __future__ import annotations

import pytest

from dealerloop.customer_care.v1.follow_ups_pb2 import RevealContactRequest, RevealContactResponse
from kit.errors import NotFound
from tests.support.care_desk import CareDesk
from tests.support.deliveries import STORE, corrected, recorded


async def test_they_have_their_whole_plan_and_its_owners_as_soon_as_they_are_known(care: CareDesk) -> None:
    await care.deliveries(recorded(customer_id="", consultant_id=""))

    unknown = await care.follow_ups()
    assert len(unknown) == 11
    assert {one.owner for one in unknown.values()} == {""}
    assert {(one.customer_display_name, one.customer_phone) for one in unknown.values()} == {("", "")}

    await care.deliveries(corrected())

    known = await care.follow_ups()
    assert known["CAD-04/1"].owner == f"stores/{STORE}/staff/li-lei"
    assert known.keys() == unknown.keys()


async def test_nobody_can_be_called_who_is_not_known(care: CareDesk) -> None:
    await care.deliveries(recorded(customer_id="", consultant_id=""))
    call = (await care.follow_ups())["CAD-04/1"]

    request = RevealContactRequest(name=call.name)
    with pytest.raises(NotFound) as refused:
        await care.ask("FollowUpService/RevealContact", request, RevealContactResponse)

    assert refused.value.reason == "CONTACT_UNKNOWN"
