"""gRPC edge of data corrections."""

from __future__ import annotations

from uuid import UUID

from dealerloop.sales.v1 import corrections_pb2
from dealerloop.sales.v1.corrections_pb2 import (
    ListDataCorrectionsRequest,
    ListDataCorrectionsResponse,
    ResolveDataCorrectionRequest,
)
from kit.db.etag import etag_of
from kit.db.paging import decode_token, encode_token, page_size, query_hash
from kit.errors import invalid
from kit.rpc import names
from kit.rpc.carry import carry, values
from kit.rpc.server import Call
from kit.vault import Vault
from sales.corrections import service
from sales.corrections.model import NOTE, DataCorrection
from sales.corrections.values import State

NAME = "stores/{store}/dataCorrections/{data_correction}"
LARGEST_PAGE = 200


class DataCorrectionEdge:
    """`DataCorrectionService`."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    async def list_data_corrections(
        self, call: Call, request: ListDataCorrectionsRequest
    ) -> ListDataCorrectionsResponse:
        """Return one page, the newest first."""
        chosen = values(request, "state")["state"]
        state = State(chosen) if chosen else None
        delivery_id = _delivery(request.delivery, call.store_id)
        size = page_size(request.page_size, largest=LARGEST_PAGE)
        query = query_hash("dataCorrections", call.store_id, state, delivery_id)
        after = decode_token(request.page_token, query)
        found, last = await service.page(
            call.session, call.store_id, state=state, delivery_id=delivery_id, after=after, size=size
        )
        return ListDataCorrectionsResponse(
            data_corrections=[self._message(correction) for correction in found],
            next_page_token=encode_token((last.create_time, last.id), query) if last else "",
        )

    async def resolve_data_correction(
        self, call: Call, request: ResolveDataCorrectionRequest
    ) -> corrections_pb2.DataCorrection:
        """End a correction by hand."""
        correction = await service.resolve(
            call.session,
            self._vault,
            (call.store_id, names.parse_id(request.name)),
            note=request.note,
            etag=request.etag,
            resolver=call.principal.id,
            now=call.now,
        )
        return self._message(correction)

    def _message(self, correction: DataCorrection) -> corrections_pb2.DataCorrection:
        store, delivery, customer = correction.store_id, correction.delivery_id, correction.customer_id
        return carry(
            correction,
            corrections_pb2.DataCorrection,
            name=names.format_name(NAME, store=store, data_correction=correction.id),
            delivery=f"stores/{store}/deliveries/{delivery}" if delivery else "",
            customer=f"stores/{store}/customers/{customer}" if customer else "",
            note=self._vault.open(NOTE, correction.note_sealed) if correction.note_sealed else "",
            etag=etag_of(correction.version),
        )


def _delivery(text: str, store_id: str) -> UUID | None:
    """Return the delivery that a list is limited to: its id, or its full name in the same store; None when empty."""
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
