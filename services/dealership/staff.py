"""The staff directory as every service can keep it: who works where in which role, read through when missing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from dealerloop.gateway.events.v1 import events_pb2
from dealerloop.gateway.v1 import organisation_pb2
from dealership.directory import DirectoryTable, Projection
from dealership.people import Held, Names, StaffMember, check, places_around
from dealership.stores import StoreProjection
from kit.errors import NotFound, invalid

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from dealership.stores import Store
    from kit.rpc.client import Peer

TABLE: Final = "staff"


class StaffUnknown(NotFound):
    """Nobody in the group has this id."""

    reason = "STAFF_UNKNOWN"


class StaffProjection(DirectoryTable):
    """What a service keeps of a member of the staff; a configuration row, readable in every scope.

    `places` are those where the member belongs or holds a role; they are what is searched.
    """

    __tablename__ = TABLE

    staff_id: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    version: Mapped[int] = mapped_column(sa.BigInteger)
    store_id: Mapped[str] = mapped_column(sa.Text)
    display_name: Mapped[str] = mapped_column(sa.Text)
    active: Mapped[bool] = mapped_column(sa.Boolean)
    roles: Mapped[list[dict[str, str]]] = mapped_column(JSONB)
    places: Mapped[list[str]] = mapped_column(ARRAY(sa.Text))


def create_staff_table(op: Any) -> None:
    """Create the projection's table; the migration grants it with the service's other tables."""
    op.create_table(
        TABLE,
        sa.Column("staff_id", sa.Text, primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("store_id", sa.Text, nullable=False),
        sa.Column("display_name", sa.Text, nullable=False),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("roles", JSONB, nullable=False),
        sa.Column("places", ARRAY(sa.Text), nullable=False),
    )
    op.create_index("staff_places_idx", TABLE, ["places"], postgresql_using="gin")


def staff_of(facts: organisation_pb2.StaffFacts) -> StaffMember:
    """Read a member from the gateway's message."""
    roles = frozenset(Held(_role(one.role), one.place) for one in facts.roles)
    return StaffMember(facts.staff_id, facts.display_name, facts.store_id, facts.active, roles)


async def get_staff(session: AsyncSession, peer: Peer, staff_id: str) -> StaffMember:
    """Return a member from the projection, asking the gateway for one that is not there yet.

    Raises StaffUnknown when there is none, Unavailable when he is not here and the gateway does not answer.
    """
    row = await session.get(StaffProjection, staff_id)
    if row is not None:
        return _member(row)
    [facts] = await PROJECTION.read_through(session, peer, [staff_id])
    return staff_of(facts)


async def require(session: AsyncSession, peer: Peer, staff_id: str, *, store: Store, field: str) -> StaffMember:
    """Return the member whom a request names in `field`, if he works for this store now.

    Raises InvalidArgument with rule STAFF_UNKNOWN, STAFF_OF_OTHER_STORE or STAFF_INACTIVE; Unavailable as `get_staff`.
    """
    try:
        member = await get_staff(session, peer, staff_id)
    except StaffUnknown as error:
        raise invalid(field, StaffUnknown.reason, "there is no such member of staff") from error
    check(member, store, field)
    return member


async def holders(session: AsyncSession, store_id: str, role: str) -> Sequence[StaffMember]:
    """Return who holds this role for a store, there or in a wider place, by id; those who left are left out."""
    places = (await _places_around(session, [store_id]))[store_id]
    return [
        one
        for one in await _working(session, places)
        if any(held.role == role and held.place in places for held in one.roles)
    ]


async def roles_held(session: AsyncSession, stores: Collection[Store]) -> dict[str, frozenset[str]]:
    """Return for each of these stores, by id, the roles that somebody holds for it. One query."""
    around = {store.id: places_around(store.id, store.region_id) for store in stores}
    wanted = _all_of(around)
    held = sa.func.jsonb_array_elements(StaffProjection.roles).table_valued("value").lateral()
    role, place = held.c.value.op("->>")("role"), held.c.value.op("->>")("place")
    query = sa.select(role, place).select_from(StaffProjection).join(held, sa.true()).distinct()
    query = query.where(StaffProjection.active, StaffProjection.places.overlap(wanted), place.in_(wanted))
    roles: defaultdict[str, set[str]] = defaultdict(set)
    for found, where in await session.execute(query):
        roles[where].add(found)
    return {
        store_id: frozenset(one for place_id in places for one in roles[place_id])
        for store_id, places in around.items()
    }


async def by_display_name(session: AsyncSession, store_ids: Collection[str]) -> dict[str, Names]:
    """Return for each of these stores whom people mean by what they write. Two queries."""
    around = await _places_around(session, store_ids)
    people: defaultdict[str, set[StaffMember]] = defaultdict(set)
    for one in await _working(session, _all_of(around)):
        for place in one.places:
            people[place].add(one)
    return {
        store_id: Names(store_id, {one for place in places for one in people[place]})
        for store_id, places in around.items()
    }


async def _places_around(session: AsyncSession, store_ids: Collection[str]) -> dict[str, frozenset[str]]:
    query = sa.select(StoreProjection.store_id, StoreProjection.region_id)
    rows = await session.execute(query.where(StoreProjection.store_id.in_(sorted(set(store_ids)))))
    regions = {row.store_id: row.region_id for row in rows}
    return {store_id: places_around(store_id, regions.get(store_id, "")) for store_id in sorted(set(store_ids))}


async def _working(session: AsyncSession, places: Collection[str]) -> list[StaffMember]:
    query = sa.select(StaffProjection).where(StaffProjection.active, StaffProjection.places.overlap(sorted(places)))
    return [_member(row) for row in await session.scalars(query.order_by(StaffProjection.staff_id))]


def _all_of(around: dict[str, frozenset[str]]) -> list[str]:
    return sorted(frozenset().union(*around.values()))


def _member(row: StaffProjection) -> StaffMember:
    roles = frozenset(Held(one["role"], one["place"]) for one in row.roles)
    return StaffMember(row.staff_id, row.display_name, row.store_id, row.active, roles)


def _row(facts: organisation_pb2.StaffFacts) -> dict[str, Any]:
    member = staff_of(facts)
    return {
        "staff_id": member.id,
        "version": facts.version,
        "store_id": member.store_id,
        "display_name": member.display_name,
        "active": member.active,
        "roles": [{"role": _role(one.role), "place": one.place} for one in facts.roles],
        "places": sorted(member.places),
    }


def _role(number: int) -> str:
    known = organisation_pb2.Role.DESCRIPTOR.values_by_number.get(number)
    # A gateway that is newer than this service may know a role more.
    return known.name if known is not None else str(number)


def _unknown(staff_id: str) -> StaffUnknown:
    return StaffUnknown("there is no such member of staff", metadata={"staff": staff_id})


PROJECTION: Final = Projection(
    name="staff",
    table=StaffProjection,
    key="staff_id",
    facts=organisation_pb2.StaffFacts,
    event=events_pb2.StaffChanged,
    told_in="staff",
    row=_row,
    ask_one=("GetStaffForProjection", organisation_pb2.GetStaffForProjectionRequest),
    ask_all=("ListStaffForProjection", organisation_pb2.ListStaffForProjectionRequest),
    unknown=_unknown,
)
save = PROJECTION.save
handle = PROJECTION.handle
subscription = PROJECTION.subscription
rebuild = PROJECTION.rebuild
on_rewind = PROJECTION.on_rewind
