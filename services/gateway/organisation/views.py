"""Stores, regions and staff as the API shows them."""

from __future__ import annotations

from dealerloop.gateway.v1 import organisation_pb2 as pb
from gateway.organisation.model import Region, Staff, Store
from gateway.organisation.staff import facts_of
from gateway.organisation.stores import calendar_of
from kit.db.etag import etag_of
from kit.rpc.carry import carry


def region_message(region: Region) -> pb.Region:
    """A region."""
    return carry(region, pb.Region, name=f"regions/{region.region_id}")


def store_message(store: Store) -> pb.Store:
    """A store, without its calendar."""
    return carry(
        store,
        pb.Store,
        name=f"stores/{store.store_id}",
        region=f"regions/{store.region_id}" if store.region_id else "",
        etag=etag_of(store.version),
    )


def calendar_message(store: Store) -> pb.Calendar:
    """A store's calendar; its etag is the store's, since both are one row."""
    calendar = calendar_of(store)
    calendar.name = f"stores/{store.store_id}/calendar"
    calendar.etag = etag_of(store.version)
    return calendar


def staff_message(staff: Staff) -> pb.StaffMember:
    """An account; the password never leaves, and its hash neither."""
    home = f"stores/{staff.store_id}/staff" if staff.store_id else "staff"
    return carry(
        staff,
        pb.StaffMember,
        name=f"{home}/{staff.staff_id}",
        roles=facts_of(staff).roles,
        password="",
        etag=etag_of(staff.version),
    )
