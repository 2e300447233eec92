"""Whom a complaint names works for its store, and an escalation reaches somebody (CMP-4, CMP-11)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from dealerloop.customer_care.events.v1.events_pb2 import ComplaintClockFired
from kit.errors import Conflict, InvalidArgument, PermissionDenied, Unavailable
from tests.support.complaints import CARE, FINANCE, GM, QUALITY, SALES, ComplaintDesk, complaint_desk
from tests.support.deliveries import NOW, OTHER_STORE, STORE
from tests.support.organisation import Gateway, gateway
from tests.support.people import CONSULTANT, PEOPLE, colleague, member
from tests.support.postgres import Cloner


@pytest.fixture
async def desk(database_urls: Cloner, tmp_path: Path) -> AsyncIterator[ComplaintDesk]:
    async with complaint_desk(database_urls, tmp_path) as running:
        await running.know_people(
            colleague("gone", STORE, active=False),
            colleague("theirs", OTHER_STORE),
            member("helper", (CONSULTANT, f"stores/{STORE}"), home=OTHER_STORE),
        )
        yield running


@pytest.fixture
async def owner(database_urls: Cloner, tmp_path: Path) -> AsyncIterator[Gateway]:
    async with gateway(database_urls("gateway"), tmp_path / "keys") as running:
        running.clock.set(NOW)
        yield running


def named(staff_id: str, store: str = STORE) -> str:
    return f"stores/{store}/staff/{staff_id}"


async def refusal(desk: ComplaintDesk, verb: str, name: str, role: str, **fields: str) -> list[tuple[str, str]]:
    with pytest.raises(InvalidArgument) as refused:
        await desk.do(verb, name, role, **fields)
    return [(one.field, one.rule) for one in refused.value.violations]


NOBODY_HERE = [
    (named("gone"), "STAFF_INACTIVE"),
    (named("theirs"), "STAFF_OF_OTHER_STORE"),
    (named("theirs", OTHER_STORE), "STAFF_OF_OTHER_STORE"),
]


@pytest.mark.parametrize(("somebody", "rule"), NOBODY_HERE)
async def test_the_responsible_person_works_for_the_store_now(desk: ComplaintDesk, somebody: str, rule: str) -> None:
    name = (await desk.open_one()).name
    before = await desk.walk(name, 2)

    assert await refusal(desk, "DispatchComplaint", name, SALES, responsible=somebody) == [("responsible", rule)]
    assert (await desk.look(name)).etag == before.etag
    sent = await desk.do("DispatchComplaint", name, SALES, responsible=named("helper"))

    assert sent.responsible == named("helper")


@pytest.mark.parametrize(("somebody", "rule"), NOBODY_HERE)
async def test_the_checker_works_for_the_store_now(desk: ComplaintDesk, somebody: str, rule: str) -> None:
    name = (await desk.open_one()).name
    await desk.do("SetComplaintOpinion", name, CARE, department="DEPARTMENT_CUSTOMER_CARE")

    assert await refusal(desk, "ReviewComplaint", name, GM, checker=somebody) == [("checker", rule)]
    reviewed = await desk.do("ReviewComplaint", name, GM, checker=named("qian-sales"))

    assert reviewed.checker == named("qian-sales")


async def test_nobody_is_taken_blindly_while_the_gateway_is_away(desk: ComplaintDesk) -> None:
    name = (await desk.open_one()).name
    before = await desk.walk(name, 2)

    with pytest.raises(Unavailable):
        await desk.do("DispatchComplaint", name, SALES, responsible=named("no-such"))

    assert (await desk.look(name)).etag == before.etag


async def test_whoever_may_not_do_it_learns_nothing_about_people(desk: ComplaintDesk) -> None:
    name = (await desk.open_one()).name

    with pytest.raises(Conflict):
        await desk.do("DispatchComplaint", name, SALES, responsible=named("no-such"))
    await desk.walk(name, 2)
    with pytest.raises(PermissionDenied):
        await desk.do("DispatchComplaint", name, FINANCE, responsible=named("no-such"))


async def test_whom_customer_care_does_not_know_it_asks_for(
    database_urls: Cloner, owner: Gateway, tmp_path: Path
) -> None:
    await owner.create_store(STORE)
    await owner.create_staff("new", CONSULTANT, store=STORE)
    target = f"127.0.0.1:{owner.running.rpc_port}"
    async with complaint_desk(database_urls, tmp_path / "keys", gateway_target=target) as desk:
        name = (await desk.open_one()).name
        await desk.walk(name, 2)

        unknown = await refusal(desk, "DispatchComplaint", name, SALES, responsible=named("no-such"))
        sent = await desk.do("DispatchComplaint", name, SALES, responsible=named("new"))

    assert unknown == [("responsible", "STAFF_UNKNOWN")]
    assert sent.responsible == named("new")


async def escalations(desk: ComplaintDesk) -> list[tuple[int, str, list[str]]]:
    """Percent, role and vacant roles of every threshold of the closing, of a complaint about sales."""
    name = (await desk.open_one(department="DEPARTMENT_SALES")).name
    await desk.fire_until(NOW + timedelta(hours=49))
    found = (await desk.look(name)).escalations
    told = await desk.told(ComplaintClockFired)
    assert sorted((one.clock, one.percent, one.target_role) for one in told) == sorted(
        (one.clock, one.percent, one.target_role) for one in found
    )
    closing = [one for one in found if one.clock == 3]
    return [(one.percent, one.target_role, list(one.vacant_roles)) for one in closing]


async def leave(desk: ComplaintDesk, *roles: str) -> None:
    """Everybody who holds one of these roles leaves."""
    people = [one for one, role in PEOPLE.items() if role in roles]
    group = [member("zhou-group", (QUALITY, "group"), active=False, version=2)] if QUALITY in roles else []
    await desk.know_people(*(colleague(one, STORE, PEOPLE[one], active=False, version=2) for one in people), *group)


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        ((), [(100, SALES, []), (125, CARE, []), (150, GM, []), (200, QUALITY, [])]),
        ((SALES,), [(100, CARE, [SALES]), (125, CARE, []), (150, GM, []), (200, QUALITY, [])]),
        ((SALES, CARE), [(100, GM, [SALES, CARE]), (125, GM, [CARE]), (150, GM, []), (200, QUALITY, [])]),
        (
            (SALES, CARE, GM),
            [(100, QUALITY, [SALES, CARE, GM]), (125, QUALITY, [CARE, GM]), (150, QUALITY, [GM]), (200, QUALITY, [])],
        ),
        # Nobody is served better by another role that nobody holds.
        ((SALES, CARE, GM, QUALITY), [(100, SALES, []), (125, CARE, []), (150, GM, []), (200, QUALITY, [])]),
    ],
)
async def test_what_nobody_would_hear_goes_one_level_up_and_the_history_says_so(
    desk: ComplaintDesk, left: tuple[str, ...], expected: list[tuple[int, str, list[str]]]
) -> None:
    await leave(desk, *left)

    found = await escalations(desk)

    assert found[1:] == expected
    # The warning goes to who must act now: the care manager's opinion is waited for.
    reached = next((one for one in (CARE, GM, QUALITY) if one not in left), CARE)
    assert found[0][:2] == (75, reached)
