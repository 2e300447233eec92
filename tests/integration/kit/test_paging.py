"""Page tokens and keyset statements."""

from datetime import UTC, date, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.orm import Mapped, mapped_column

from kit.db.model import Base
from kit.db.paging import decode_token, encode_token, keyset, page_size, query_hash, split
from kit.errors import InvalidArgument

QUERY = query_hash("stores/bj-01", "state=OPEN")
VALUE = st.one_of(
    st.text(),
    st.integers(-(2**63), 2**63 - 1),
    st.booleans(),
    st.datetimes(timezones=st.just(UTC)),
    st.dates(),
    st.uuids(),
)


class PagedThing(Base):
    __tablename__ = "paged_thing"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    create_time: Mapped[datetime]


@given(st.lists(VALUE.filter(lambda value: not isinstance(value, str) or "\0" not in value), max_size=4))
def test_a_token_carries_its_values_there_and_back(values: list[str | int | bool | datetime | date | UUID]) -> None:
    decoded = decode_token(encode_token(values, QUERY), QUERY)

    assert decoded == tuple(values)
    assert [type(value) for value in decoded] == [type(value) for value in values]


def test_no_token_is_the_first_page() -> None:
    assert decode_token("", QUERY) == ()


@given(st.text(max_size=40).filter(bool))
def test_an_invented_token_is_the_callers_mistake(token: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        decode_token(token, QUERY)
    assert caught.value.violations[0].field == "page_token"


def test_a_token_of_another_query_is_refused() -> None:
    token = encode_token([datetime(2026, 3, 2, tzinfo=UTC)], QUERY)

    with pytest.raises(InvalidArgument):
        decode_token(token, query_hash("stores/bj-01", "state=CLOSED"))


def test_a_token_for_other_columns_is_refused() -> None:
    with pytest.raises(InvalidArgument):
        keyset(select(PagedThing), [PagedThing.create_time, PagedThing.id], (1,), 10)


@pytest.mark.parametrize(("requested", "given"), [(0, 50), (1, 1), (1000, 1000), (99999, 1000)])
def test_a_page_is_never_larger_than_allowed(requested: int, given: int) -> None:
    assert page_size(requested) == given


@pytest.mark.parametrize("value", [2**63, "a\0b", datetime(2026, 3, 2)])  # noqa: DTZ001
def test_a_forged_token_with_what_the_database_cannot_take_is_refused(value: str | int | datetime) -> None:
    with pytest.raises(InvalidArgument):
        decode_token(encode_token([value], QUERY), QUERY)


def test_a_forged_token_with_values_of_other_types_is_refused() -> None:
    token = encode_token([7], QUERY)

    assert decode_token(token, QUERY, int) == (7,)
    with pytest.raises(InvalidArgument):
        decode_token(token, QUERY, str)
    with pytest.raises(InvalidArgument):
        keyset(select(PagedThing), [PagedThing.create_time, PagedThing.id], (datetime.now(UTC), "x"), 10)


def test_a_negative_size_is_refused() -> None:
    with pytest.raises(InvalidArgument):
        page_size(-1)


def test_the_statement_starts_after_the_row_and_asks_for_one_more() -> None:
    token = (datetime(2026, 3, 2, tzinfo=UTC), UUID(int=7))

    statement = keyset(select(PagedThing.id), [PagedThing.create_time, PagedThing.id], token, 10, descending=True)

    sql = str(
        statement.compile(
            dialect=PGDialect(),  # type: ignore[no-untyped-call]
            compile_kwargs={"literal_binds": True},
        )
    )
    assert "(paged_thing.create_time, paged_thing.id) < (" in sql
    assert "ORDER BY paged_thing.create_time DESC, paged_thing.id DESC" in sql
    assert "LIMIT 11" in sql


def test_the_row_too_many_only_says_that_there_is_more() -> None:
    assert split([1, 2, 3], 2) == ([1, 2], 2)
    assert split([1, 2], 2) == ([1, 2], None)
    assert split([], 2) == ([], None)
