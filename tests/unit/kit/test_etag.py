"""Etags."""

import pytest

from kit.db.etag import check_etag, etag_of
from kit.errors import StaleEtag


@pytest.mark.parametrize("given", ["", "*", '"1a"', "1a", 'W/"1a"', '"7", "1a"', "  "])
def test_the_version_that_was_read_may_be_changed(given: str) -> None:
    check_etag(given, 26)


@pytest.mark.parametrize("given", ['"19"', "x", '"7", "8"', '"1A"'])
def test_another_version_is_refused_and_the_current_one_told(given: str) -> None:
    with pytest.raises(StaleEtag) as caught:
        check_etag(given, 26)

    assert caught.value.metadata == {"etag": etag_of(26)}
