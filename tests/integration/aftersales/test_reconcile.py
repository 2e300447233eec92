"""Vehicles built from nothing, and after sales was restored from a backup, with the snapshot over real gRPC."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from aftersales.vehicles import handlers
from kit.errors import NotFound
from tests.support.deliveries import NOW, OTHER_STORE, STORE, recorded
from tests.support.one_service import OneService
from tests.support.postgres import Cloner
from tests.support.sales_desk import cancel, create
from tests.support.workshop import warranty


@pytest.fixture
async def sales(database_urls: Cloner, tmp_path: Path) -> AsyncIterator[OneService]:
    service = OneService("sales", database_urls("sales"), tmp_path / "keys", NOW)
    await service.start(STORE, OTHER_STORE)
    yield service
    await service.stop()


async def test_vehicles_are_built_from_nothing(sales: OneService, aftersales: OneService) -> None:
    await create(sales, 1)
    gone = await create(sales, 2)
    await cancel(sales, gone.name)

    read = await handlers.reconcile(aftersales.database, sales.peer, aftersales.clock)

    assert read == 2
    assert (await warranty(aftersales, 1)).start_date == "2026-05-20"
    assert (await warranty(aftersales, 2)).start_date == ""


async def test_what_a_restored_source_does_not_know_goes_and_what_is_new_stays(
    sales: OneService, aftersales: OneService
) -> None:
    await create(sales, 1)
    await aftersales.hear(handlers.handle, [recorded(8), recorded(9, record_time=NOW + timedelta(hours=2))])
    aftersales.clock.advance(timedelta(hours=1))

    await handlers.reconcile(aftersales.database, sales.peer, aftersales.clock)

    assert (await warranty(aftersales, 1)).start_date == "2026-05-20"
    assert (await warranty(aftersales, 9)).start_date == "2026-05-20"
    with pytest.raises(NotFound):
        await warranty(aftersales, 8)
