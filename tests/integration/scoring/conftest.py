from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.grade_desk import OCTOBER_ENDS, GradeDesk
from tests.support.postgres import Cloner


@pytest.fixture
async def desk(database_urls: Cloner, tmp_path: Path) -> AsyncIterator[GradeDesk]:
    """Scoring at the moment when October is over in the last store."""
    urls = database_urls("scoring")
    service = GradeDesk("scoring", urls, tmp_path / "keys", OCTOBER_ENDS)
    service.urls = urls
    yield await service.open()
    await service.stop()
