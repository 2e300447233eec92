"""Mapped classes and keyset paging against the real database."""

import enum
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import ForeignKey, MetaData, Text, select
from sqlalchemy.orm import Mapped, mapped_column, registry, relationship

from kit.db.engine import Database
from kit.db.model import Base
from kit.db.paging import KeyValue, decode_token, encode_token, keyset, query_hash, split
from kit.db.scope import Scope
from kit.ids import new_id

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
QUERY = query_hash("notes")


class Loudness(enum.Enum):
    QUIET = 1
    VERY_LOUD = 2


class Note(Base):
    __tablename__ = "note"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    store_id: Mapped[str]
    body: Mapped[str]
    labels: Mapped[dict[str, Any]]
    create_time: Mapped[datetime]
    loud: Mapped[Loudness | None]


async def add_notes(database: Database, count: int) -> None:
    async with database.transaction(Scope.group()) as session:
        session.add_all(
            Note(
                id=new_id(NOW),
                store_id="bj-01",
                body=str(number),
                labels={"n": number},
                # Two of each time: the id must decide.
                create_time=NOW + timedelta(minutes=number // 2),
                loud=Loudness.VERY_LOUD,
            )
            for number in range(count)
        )


async def test_python_values_come_back_as_they_went(database: Database) -> None:
    await add_notes(database, 1)

    async with database.transaction(Scope.store("bj-01"), read_only=True) as session:
        note = (await session.scalars(select(Note))).one()
        stored = (await session.execute(select(Note.loud.cast(Text)))).scalar_one()

    assert (note.labels, note.create_time, note.loud) == ({"n": 0}, NOW, Loudness.VERY_LOUD)
    assert note.create_time.utcoffset() == timedelta(0)
    assert stored == "VERY_LOUD"


@pytest.mark.parametrize("descending", [False, True])
async def test_pages_follow_each_other_without_gaps_or_doubles_while_rows_are_added(
    database: Database, *, descending: bool
) -> None:
    await add_notes(database, 11)
    seen: list[str] = []
    token = ""
    pages = 0
    while pages == 0 or token:
        async with database.transaction(Scope.store("bj-01")) as session:
            statement = keyset(
                select(Note), [Note.create_time, Note.id], decode_token(token, QUERY), 4, descending=descending
            )
            rows, last = split((await session.scalars(statement)).all(), 4)
            seen += [row.body for row in rows]
            values: list[KeyValue] = [] if last is None else [last.create_time, last.id]
            token = encode_token(values, QUERY) if last else ""
            # Before everything in this order: it belongs to no later page.
            early = NOW + timedelta(days=1 if descending else -1)
            session.add(Note(id=new_id(NOW), store_id="bj-01", body="late", labels={}, create_time=early))
        pages += 1

    assert pages == 3
    assert [body for body in seen if body != "late"] == sorted(map(str, range(11)), key=int, reverse=descending)


def test_a_relationship_that_does_not_say_how_it_loads_is_refused() -> None:
    own = registry()

    class Own(Base):
        # A registry of its own: classes that cannot be configured must not stay with everybody's.
        __abstract__ = True
        _sa_registry = own
        metadata = MetaData()

    class Parent(Own):
        __tablename__ = "loading_parent"
        id: Mapped[int] = mapped_column(primary_key=True)

    class Child(Own):
        __tablename__ = "loading_child"
        id: Mapped[int] = mapped_column(primary_key=True)
        parent_id: Mapped[int] = mapped_column(ForeignKey(Parent.id))
        parent: Mapped[Parent] = relationship(Parent)

    try:
        with pytest.raises(TypeError, match=r"Child\.parent must say how it loads"):
            own.configure()
    finally:
        own.dispose()
