"""A wrong number that customer care finds travels to the department that owns the record (CARE-03)."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

from dealerloop.customer_care.events.v1.events_pb2 import DataCorrectionRequested
from dealerloop.sales.v1.corrections_pb2 import DataCorrection
from kit.db.scope import Scope
from kit.messaging import outbox
from tests.support.postgres import Cloner
from tests.support.system import System, system

CUSTOMER, FOLLOW_UP = str(UUID(int=1)), str(UUID(int=2))


async def ask(made: System) -> None:
    """What customer care tells when a caller noted a wrong number."""
    asked = DataCorrectionRequested(
        customer_id=CUSTOMER, store_id="bj-01", field="phone", reason="WRONG_NUMBER", follow_up_id=FOLLOW_UP
    )
    async with made.parts["customer_care"].database.transaction(Scope.system("test")) as session:
        await outbox.add(session, asked, key=CUSTOMER, now=made.clock.now())


async def test_a_wrong_number_of_a_call_is_to_be_corrected_in_sales_once(
    database_urls: Cloner, nats_url: str, tmp_path: Path
) -> None:
    async with system(database_urls, nats_url, tmp_path, ["customer_care", "sales"]) as made:
        await ask(made)
        await made.drain()

        rows = await made.rows("sales", "select * from data_correction")
        assert [(str(row["customer_id"]), row["field"], row["reason"]) for row in rows] == [
            (CUSTOMER, "customer.phone", "WRONG_NUMBER")
        ]
        assert rows[0]["state"] == DataCorrection.State.Name(DataCorrection.STATE_OPEN).removeprefix("STATE_")

        # It was resolved, and customer care tells everything once more for somebody else's sake.
        async with made.parts["sales"].database.transaction(Scope.system("test")) as session:
            connection = await session.connection()
            await connection.exec_driver_sql(
                "update data_correction set state = 'RESOLVED', resolve_time = create_time, resolver = 'x'"
            )
        async with made.parts["customer_care"].database.transaction(Scope.system("test")) as session:
            since = made.clock.now().replace(year=2020)
            assert await outbox.republish(session, [DataCorrectionRequested], since=since) == 1
        await made.drain()

        assert [row["state"] for row in await made.rows("sales", "select state from data_correction")] == ["RESOLVED"]
