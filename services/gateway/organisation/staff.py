"""Use cases of accounts: creating, finding and changing them, within what the caller may give.

What the services keep of an account is told on the stream DIRECTORY with every change of it; a change of its user name
or password is nobody else's business.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from dealerloop.gateway.events.v1 import events_pb2
from dealerloop.gateway.v1 import organisation_pb2 as pb
from gateway.identity import passwords
from gateway.organisation import rules
from gateway.organisation.model import Region, Staff, Store, StoredRole
from gateway.organisation.reach import whole_group
from gateway.organisation.rules import Held, Writer
from kit.db.etag import check_etag
from kit.errors import AlreadyExists, NotFound, invalid
from kit.messaging import outbox

_FIELD: Final = "staff_member"
_ROLES: Final = f"{_FIELD}.roles"


class StaffNotFound(NotFound):
    """There is no such account in the caller's reach."""

    reason = "STAFF_NOT_FOUND"


class StaffExists(AlreadyExists):
    """An account has this id or this user name; which one and where is not told."""

    reason = "STAFF_EXISTS"


async def create(
    session: AsyncSession, staff_id: str, member: pb.StaffMember, *, home: str | None, by: Writer, now: datetime
) -> Staff:
    """Create an account of a store (`home`) or, without one, of the group or a region.

    Raises StaffExists, RoleRefused, RolesInvalid, WeakPassword, InvalidArgument (a place that does not exist).
    """
    held = rules.placed(held_of(member), home=home, field=_ROLES)
    rules.check_create(by, held)
    await _check_places(session, held)
    username = member.username or staff_id
    values = {
        "staff_id": staff_id,
        "store_id": home,
        "display_name": member.display_name,
        "username": username,
        "password_hash": await _hashed(member, known=[staff_id, username]),
        "roles": _stored(held),
        "disabled": member.disabled,
        "version": 1,
        "create_time": now,
    }
    created: Staff | None = await session.scalar(insert(Staff).values(values).on_conflict_do_nothing().returning(Staff))
    if created is None:
        raise _taken()
    await tell(session, created, now=now)
    return created


async def get(session: AsyncSession, staff_id: str, *, home: str | None, lock: bool = False) -> Staff:
    """Return an account of that store, or of the group. Raises StaffNotFound."""
    query = sa.select(Staff).where(
        Staff.staff_id == staff_id, Staff.store_id.is_(None) if home is None else Staff.store_id == home
    )
    staff = await session.scalar(query.with_for_update() if lock else query)
    if staff is None:
        raise StaffNotFound("there is no such member of staff", metadata={"staff": staff_id})
    return staff


async def find(session: AsyncSession, staff_id: str) -> Staff:
    """Return an account of any store in the session's scope, or of the group. Raises StaffNotFound."""
    # Members of the group belong to no store, so that no store's scope shows them.
    async with whole_group(session, "who acts under a name"):
        of_group = await session.scalar(sa.select(Staff).where(Staff.staff_id == staff_id, Staff.store_id.is_(None)))
    staff = of_group or await session.scalar(sa.select(Staff).where(Staff.staff_id == staff_id))
    if staff is None:
        raise StaffNotFound("there is no such member of staff", metadata={"staff": staff_id})
    return staff


async def change(
    session: AsyncSession,
    staff: Staff,
    changed: pb.StaffMember,
    *,
    mask: Sequence[str],
    etag: str,
    by: Writer,
    now: datetime,
) -> None:
    """Give a locked account its new content; `changed` is the whole member after the merge.

    A password named in the mask but left empty takes the password away. Raises StaleEtag, OwnAccount, RoleRefused,
    RolesInvalid, WeakPassword, StaffExists, InvalidArgument.
    """
    check_etag(etag, staff.version)
    held = rules.placed(held_of(changed), home=staff.store_id, field=_ROLES)
    rules.check_change(by, staff.staff_id, stored_roles(staff), held)
    await _check_places(session, held)
    before = facts_of(staff)
    staff.display_name = changed.display_name
    staff.username = changed.username or staff.staff_id
    staff.roles = _stored(held)
    staff.disabled = changed.disabled
    if changed.password or "password" in mask:
        staff.password_hash = await _hashed(changed, known=[staff.staff_id, staff.username])
    staff.version += 1
    try:
        await session.flush()
    except IntegrityError as error:
        raise _taken() from error
    before.version = staff.version
    if facts_of(staff) != before:
        await tell(session, staff, now=now)


async def tell(session: AsyncSession, staff: Staff, *, now: datetime) -> None:
    """Tell the services the whole new state of an account."""
    event = events_pb2.StaffChanged(staff_id=staff.staff_id, staff=facts_of(staff))
    await outbox.add(session, event, key=f"staff/{staff.staff_id}", now=now)


def facts_of(staff: Staff) -> pb.StaffFacts:
    """Return what the other services keep of an account."""
    return pb.StaffFacts(
        staff_id=staff.staff_id,
        version=staff.version,
        store_id=staff.store_id or "",
        display_name=staff.display_name,
        active=not staff.disabled,
        roles=[pb.RoleAssignment(role=held["role"], place=held["place"]) for held in staff.roles],
    )


def held_of(member: pb.StaffMember) -> list[Held]:
    """Return the roles as the caller gave them."""
    return [Held(pb.Role.Name(entry.role), entry.place) for entry in member.roles]


def stored_roles(staff: Staff) -> list[Held]:
    """Return the roles as they are stored."""
    return [Held(entry["role"], entry["place"]) for entry in staff.roles]


def _stored(held: Sequence[Held]) -> list[StoredRole]:
    return [StoredRole(role=entry.role, place=entry.place) for entry in held]


async def _hashed(member: pb.StaffMember, *, known: Sequence[str]) -> str | None:
    if not member.password:
        return None
    rules.check_password(member.password, known=known, field=f"{_FIELD}.password")
    return await passwords.hashed(member.password)


async def _check_places(session: AsyncSession, held: Sequence[Held]) -> None:
    # Only an administrator of the group comes here with the place of another store: he may know which exist.
    regions = {entry.place.removeprefix("regions/") for entry in held if entry.place.startswith("regions/")}
    stores = {entry.place.removeprefix("stores/") for entry in held if entry.place.startswith("stores/")}
    known: set[str] = {rules.GROUP}
    if regions:
        found = await session.scalars(sa.select(Region.region_id).where(Region.region_id.in_(regions)))
        known |= {f"regions/{region_id}" for region_id in found}
    if stores:
        async with whole_group(session, "places of roles"):
            found = await session.scalars(sa.select(Store.store_id).where(Store.store_id.in_(stores)))
            known |= {f"stores/{store_id}" for store_id in found}
    for index, entry in enumerate(held):
        if entry.place not in known:
            raise invalid(f"{_ROLES}[{index}].place", "ROLE_PLACE_UNKNOWN", f"{entry.place} does not exist")


def _taken() -> StaffExists:
    return StaffExists("an account has this id or this user name")
