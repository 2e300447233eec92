"""What a first receiver fills in, read into an opening (CMP-1): who the customer is, and which vehicle it is about."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from customer_care.care_plans.model import CarePlan
from customer_care.complaints.values import Channel, Department, Kind, Level, Opening, Severity
from customer_care.contacts.service import ContactBook
from dealership import phone, vin
from kit.errors import invalid


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """A form as it was filled in; what was left open is None or empty."""

    level: Level | None
    kind: Kind
    channel: Channel
    severity: Severity | None
    department: Department | None
    description: str
    customer_wish: str
    customer_id: UUID | None
    display_name: str
    phone: str
    vin: str
    delivery_id: UUID | None


async def read(session: AsyncSession, contacts: ContactBook, store_id: str, filled: Filled, actor: str) -> Opening:
    """Return the opening.

    Raises InvalidArgument on the field: DELIVERY_UNKNOWN, VIN_NOT_OF_DELIVERY, CUSTOMER_NOT_OF_DELIVERY,
    CUSTOMER_UNKNOWN, CUSTOMER_ON_FILE, PHONE_INVALID, and what `vin.parse` raises; Unavailable when a customer has to
    be asked for and sales is away.
    """
    vehicle = vin.parse(filled.vin, field="complaint.vin")[0] if filled.vin else ""
    customer_id = filled.customer_id
    if filled.delivery_id is not None:
        plan = await _plan(session, store_id, filled.delivery_id)
        if vehicle and vehicle != plan.vin:
            raise invalid("complaint.vin", "VIN_NOT_OF_DELIVERY", "is not the vehicle of the delivery")
        if customer_id is not None and customer_id != plan.customer_id:
            raise invalid("complaint.customer", "CUSTOMER_NOT_OF_DELIVERY", "is not the customer of the delivery")
        vehicle, customer_id = plan.vin, plan.customer_id
    elif customer_id is not None and not await contacts.knows(session, customer_id):
        raise invalid("complaint.customer", "CUSTOMER_UNKNOWN", "there is no such customer in this store")
    name, number = _typed(filled, on_file=customer_id is not None)
    return Opening(
        store_id=store_id,
        level=filled.level or Level.COMPLAINT,
        kind=filled.kind,
        channel=filled.channel,
        severity=filled.severity,
        description=filled.description,
        customer_wish=filled.customer_wish,
        customer_id=customer_id,
        contact_name=name,
        contact_phone=number,
        vin=vehicle,
        delivery_id=filled.delivery_id,
        department=filled.department,
        actor=actor,
    )


async def _plan(session: AsyncSession, store_id: str, delivery_id: UUID) -> CarePlan:
    query = select(CarePlan).where(CarePlan.delivery_id == delivery_id, CarePlan.store_id == store_id)
    plan = (await session.scalars(query)).one_or_none()
    if plan is None:
        raise invalid("complaint.delivery", "DELIVERY_UNKNOWN", "there is no such delivery in this store")
    return plan


def _typed(filled: Filled, *, on_file: bool) -> tuple[str | None, str | None]:
    for field, text in (("customer_display_name", filled.display_name), ("customer_phone", filled.phone)):
        if text and on_file:
            description = "is known already: the customer is on file"
            raise invalid(f"complaint.{field}", "CUSTOMER_ON_FILE", description)
    name = filled.display_name.strip() or None
    if not filled.phone:
        return name, None
    # Better a doubtful number than none: who complains must be called.
    return name, phone.parse(filled.phone, field="complaint.customer_phone", allow_doubtful=True).e164
