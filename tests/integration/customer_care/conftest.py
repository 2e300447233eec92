"""Customer care alone, on a database of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.care_desk import CareDesk, care_desk
from tests.support.postgres import Cloner


@pytest.fixture
async def care(database_urls: Cloner, tmp_path: Path) -> AsyncIterator[CareDesk]:
    """A desk that serves."""
    desk = await care_desk(database_urls, tmp_path).open()
    try:
        yield desk
    finally:
        await desk.stop()


@pytest.fixture
def database_owner(care: CareDesk) -> str:
    """The address of the desk's database under the role that owns its tables."""
    return care.urls.migration_url
