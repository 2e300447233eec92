"""The gRPC edge of the organisation."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute

from dealerloop.gateway.v1 import organisation_pb2 as pb
from dealership.roles import GRANTS, STAFF_READ, STAFF_WRITE
from gateway.identity.accounts import Accounts, grants_of
from gateway.organisation import staff as accounts
from gateway.organisation import stores
from gateway.organisation.model import Region, Staff, Store
from gateway.organisation.rules import Writer
from gateway.organisation.views import calendar_message, region_message, staff_message, store_message
from kit.db import paging
from kit.rpc import masks, names, validation
from kit.rpc.server import Call

_STORE: Final = "stores/{store}"
_CALENDAR: Final = "stores/{store}/calendar"
_STAFF: Final = "stores/{store}/staff/{staff}"
_GROUP_STAFF: Final = "staff/{staff}"
_LARGEST_PAGE: Final = 200
_SNAPSHOT_ROWS: Final = 200
T = TypeVar("T", Store, Staff)


class OrganisationEdge:
    """Serves `OrganisationService`: one transaction per call, opened by the server."""

    def __init__(self, own: Accounts) -> None:
        self._own = own

    async def create_region(self, call: Call, request: pb.CreateRegionRequest) -> pb.Region:
        """Create a region."""
        return region_message(await stores.create_region(call.session, request.region_id, request.region, now=call.now))

    async def list_regions(self, call: Call, request: pb.ListRegionsRequest) -> pb.ListRegionsResponse:
        """List the regions, for callers without the whole group those of their stores."""
        query = sa.select(Region)
        if not call.scope.sees_all:
            own = sa.select(Store.region_id).where(call.scope.limit(Store.store_id))
            query = query.where(Region.region_id.in_(own))
        digest = paging.query_hash("regions", call.scope.setting)
        size = paging.page_size(request.page_size, largest=_LARGEST_PAGE)
        token = paging.decode_token(request.page_token, digest)
        rows = (await call.session.scalars(paging.keyset(query, [Region.region_id], token, size))).all()
        shown, last = paging.split(rows, size)
        return pb.ListRegionsResponse(
            regions=[region_message(region) for region in shown],
            next_page_token=paging.encode_token([last.region_id], digest) if last else "",
        )

    async def create_store(self, call: Call, request: pb.CreateStoreRequest) -> pb.Store:
        """Create a store."""
        return store_message(await stores.create_store(call.session, request.store_id, request.store, now=call.now))

    async def get_store(self, call: Call, request: pb.GetStoreRequest) -> pb.Store:
        """Return one store."""
        return store_message(await stores.get_store(call.session, names.parse(request.name, _STORE)["store"]))

    async def list_stores(self, call: Call, request: pb.ListStoresRequest) -> pb.ListStoresResponse:
        """List the stores in the caller's reach, by id."""
        query = sa.select(Store).where(call.scope.limit(Store.store_id))
        digest = paging.query_hash("stores", call.scope.setting)
        size = paging.page_size(request.page_size, largest=_LARGEST_PAGE)
        token = paging.decode_token(request.page_token, digest)
        rows = (await call.session.scalars(paging.keyset(query, [Store.store_id], token, size))).all()
        shown, last = paging.split(rows, size)
        return pb.ListStoresResponse(
            stores=[store_message(store) for store in shown],
            next_page_token=paging.encode_token([last.store_id], digest) if last else "",
        )

    async def update_store(self, call: Call, request: pb.UpdateStoreRequest) -> pb.Store:
        """Change a store."""
        store_id = names.parse(request.store.name, _STORE, field="store.name")["store"]
        store = await stores.get_store(call.session, store_id, lock=True)
        changed = store_message(store)
        masks.merge(changed, request.store, request.update_mask, prefix="store")
        validation.validate(changed, prefix="store")
        await stores.change_store(call.session, store, changed, etag=request.store.etag, now=call.now)
        return store_message(store)

    async def get_calendar(self, call: Call, request: pb.GetCalendarRequest) -> pb.Calendar:
        """Return a store's business calendar."""
        store_id = names.parse(request.name, _CALENDAR)["store"]
        return calendar_message(await stores.get_store(call.session, store_id))

    async def update_calendar(self, call: Call, request: pb.UpdateCalendarRequest) -> pb.Calendar:
        """Replace parts of a store's business calendar."""
        store_id = names.parse(request.calendar.name, _CALENDAR, field="calendar.name")["store"]
        store = await stores.get_store(call.session, store_id, lock=True)
        changed = calendar_message(store)
        masks.merge(changed, request.calendar, request.update_mask, prefix="calendar")
        validation.validate(changed, prefix="calendar")
        await stores.change_calendar(call.session, store, changed, etag=request.calendar.etag, now=call.now)
        return calendar_message(store)

    async def create_staff_member(self, call: Call, request: pb.CreateStaffMemberRequest) -> pb.StaffMember:
        """Create an account in a store."""
        store_id = names.parse(request.parent, _STORE, field="parent")["store"]
        await stores.get_store(call.session, store_id)
        created = await accounts.create(
            call.session, request.staff_id, request.staff_member, home=store_id, by=_writer(call), now=call.now
        )
        return staff_message(created)

    async def list_staff_members(self, call: Call, request: pb.ListStaffMembersRequest) -> pb.ListStaffMembersResponse:
        """List a store's staff, by id."""
        store_id = names.parse(request.parent, _STORE, field="parent")["store"]
        await stores.get_store(call.session, store_id)
        members, token = await _staff_page(call, store_id, request.page_size, request.page_token)
        return pb.ListStaffMembersResponse(staff_members=members, next_page_token=token)

    async def get_staff_member(self, call: Call, request: pb.GetStaffMemberRequest) -> pb.StaffMember:
        """Return one member of a store's staff."""
        found = names.parse(request.name, _STAFF)
        return staff_message(await accounts.get(call.session, found["staff"], home=found["store"]))

    async def update_staff_member(self, call: Call, request: pb.UpdateStaffMemberRequest) -> pb.StaffMember:
        """Change a member of a store's staff."""
        found = names.parse(request.staff_member.name, _STAFF, field="staff_member.name")
        staff = await accounts.get(call.session, found["staff"], home=found["store"], lock=True)
        return await _changed_staff(call, staff, request)

    async def create_group_staff_member(self, call: Call, request: pb.CreateGroupStaffMemberRequest) -> pb.StaffMember:
        """Create an account of the group or a region."""
        created = await accounts.create(
            call.session, request.staff_id, request.staff_member, home=None, by=_writer(call), now=call.now
        )
        return staff_message(created)

    async def list_group_staff_members(
        self, call: Call, request: pb.ListGroupStaffMembersRequest
    ) -> pb.ListGroupStaffMembersResponse:
        """List the members of the group and its regions, by id."""
        members, token = await _staff_page(call, None, request.page_size, request.page_token)
        return pb.ListGroupStaffMembersResponse(staff_members=members, next_page_token=token)

    async def get_group_staff_member(self, call: Call, request: pb.GetGroupStaffMemberRequest) -> pb.StaffMember:
        """Return whoever acts under this name, within the caller's reach."""
        staff = await accounts.find(call.session, names.parse(request.name, _GROUP_STAFF)["staff"])
        message = staff_message(staff)
        if staff.store_id is None and not call.principal.reach(STAFF_READ, GRANTS).group:
            message.username = ""
        return message

    async def update_group_staff_member(self, call: Call, request: pb.UpdateGroupStaffMemberRequest) -> pb.StaffMember:
        """Change a member of the group or a region."""
        found = names.parse(request.staff_member.name, _GROUP_STAFF, field="staff_member.name")
        staff = await accounts.get(call.session, found["staff"], home=None, lock=True)
        return await _changed_staff(call, staff, request)

    async def get_me(self, call: Call, _request: pb.GetMeRequest) -> pb.Me:
        """Say who the caller is and what he may do."""
        staff = await self._own.get(call.session, call.principal.staff_id)
        return pb.Me(staff_member=staff_message(staff), grants=grants_of(call.principal))

    async def change_password(self, call: Call, request: pb.ChangePasswordRequest) -> pb.Me:
        """Change the caller's own password."""
        staff = await self._own.change_password(
            call.session,
            call.principal.staff_id,
            current=request.current_password,
            new=request.new_password,
        )
        return pb.Me(staff_member=staff_message(staff), grants=grants_of(call.principal))

    async def list_stores_for_projection(
        self, call: Call, _request: pb.ListStoresForProjectionRequest
    ) -> AsyncIterator[pb.StoreFacts]:
        """Every store."""
        async for store in _every(call, Store, Store.store_id):
            yield stores.facts_of(store)

    async def get_store_for_projection(self, call: Call, request: pb.GetStoreForProjectionRequest) -> pb.StoreFacts:
        """Return one store for a projection that does not have it yet."""
        return stores.facts_of(await stores.get_store(call.session, request.store_id))

    async def list_staff_for_projection(
        self, call: Call, _request: pb.ListStaffForProjectionRequest
    ) -> AsyncIterator[pb.StaffFacts]:
        """Every account, those of people who left too."""
        async for staff in _every(call, Staff, Staff.staff_id):
            yield accounts.facts_of(staff)

    async def get_staff_for_projection(self, call: Call, request: pb.GetStaffForProjectionRequest) -> pb.StaffFacts:
        """Return one account for a projection that does not have it yet."""
        staff = await call.session.get(Staff, request.staff_id)
        if staff is None:
            raise accounts.StaffNotFound("there is no such member of staff", metadata={"staff": request.staff_id})
        return accounts.facts_of(staff)


def _writer(call: Call) -> Writer:
    reach = call.principal.reach(STAFF_WRITE, GRANTS)
    return Writer(call.principal.staff_id, None if reach.group else reach.stores)


async def _changed_staff(
    call: Call, staff: Staff, request: pb.UpdateStaffMemberRequest | pb.UpdateGroupStaffMemberRequest
) -> pb.StaffMember:
    changed = staff_message(staff)
    masks.merge(changed, request.staff_member, request.update_mask, prefix="staff_member")
    validation.validate(changed, prefix="staff_member")
    await accounts.change(
        call.session,
        staff,
        changed,
        mask=request.update_mask.paths,
        etag=request.staff_member.etag,
        by=_writer(call),
        now=call.now,
    )
    return staff_message(staff)


async def _staff_page(call: Call, home: str | None, size: int, token: str) -> tuple[list[pb.StaffMember], str]:
    query = sa.select(Staff).where(Staff.store_id.is_(None) if home is None else Staff.store_id == home)
    digest = paging.query_hash("staff", home)
    size = paging.page_size(size, largest=_LARGEST_PAGE)
    after = paging.decode_token(token, digest)
    rows = (await call.session.scalars(paging.keyset(query, [Staff.staff_id], after, size))).all()
    shown, last = paging.split(rows, size)
    return [staff_message(staff) for staff in shown], paging.encode_token([last.staff_id], digest) if last else ""


async def _every(call: Call, kind: type[T], key: InstrumentedAttribute[str]) -> AsyncIterator[T]:
    """Yield every row by its key, in parts, so that a large group never lies in memory at once."""
    last = ""
    while True:
        query = sa.select(kind).where(key > last).order_by(key).limit(_SNAPSHOT_ROWS)
        rows = (await call.session.scalars(query)).all()
        for row in rows:
            yield row
        if len(rows) < _SNAPSHOT_ROWS:
            return
        last = getattr(rows[-1], key.key)
