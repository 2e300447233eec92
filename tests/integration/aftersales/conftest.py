from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.deliveries import NOW, OTHER_STORE, STORE
from tests.support.one_service import OneService
from tests.support.postgres import Cloner


@pytest.fixture
async def aftersales(database_urls: Cloner, tmp_path: Path) -> AsyncIterator[OneService]:
    service = OneService("aftersales", database_urls("aftersales"), tmp_path / "keys", NOW)
    await service.start(STORE, OTHER_STORE)
    yield service
    await service.stop()
