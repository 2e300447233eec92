"""Names of resources that other services own, as they come in filters and go out in answers."""

from __future__ import annotations

from uuid import UUID

from kit.errors import invalid
from kit.rpc import names


def delivery_name(store_id: str, delivery_id: UUID) -> str:
    """Return the name of a delivery."""
    return f"stores/{store_id}/deliveries/{delivery_id}"


def delivery_filter(text: str, store_id: str) -> UUID | None:
    """Return the delivery that a list is limited to: its id, or its full name in the same store; None when empty.

    Raises InvalidArgument DELIVERY_NAME on `delivery`.
    """
    if not text:
        return None
    last = text
    if "/" in text:
        parts = names.parse(text, "stores/{store}/deliveries/{delivery}", field="delivery")
        if parts["store"] != store_id:
            raise invalid("delivery", "DELIVERY_NAME", "must be a delivery of the store that is listed")
        last = parts["delivery"]
    try:
        return UUID(last)
    except ValueError:
        raise invalid("delivery", "DELIVERY_NAME", "must be the id of a delivery, or its full name") from None


def staff_filter(text: str, store_id: str) -> str | None:
    """Return the person that a list is limited to: the id, or the full name; None when empty.

    Raises InvalidArgument STAFF_NAME on `owner`.
    """
    if not text:
        return None
    store, _, last = text.rpartition("staff/")
    if "/" in last or not last or store not in {"", f"stores/{store_id}/"}:
        raise invalid(
            "owner", "STAFF_NAME", "must be the id of a member of staff, or the full name in the store that is listed"
        )
    return last
