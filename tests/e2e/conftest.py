"""One running product for all end-to-end tests of a worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.loop import Group
from tests.support.stack import Stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("stack")).running() as stack:
        yield stack


@pytest.fixture(scope="session")
def group(stack: Stack) -> Group:
    return Group(stack, "bj-01", seed=11)


@pytest.fixture(scope="session")
def elsewhere(stack: Stack) -> Group:
    return Group(stack, "sh-01", seed=12)
