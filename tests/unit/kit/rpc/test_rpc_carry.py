from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone
from enum import Enum
from uuid import UUID

import pytest

from kit.errors import InvalidArgument
from kit.rpc.carry import carry, values
from tests.support.things import Part, Thing

ID = UUID("018f4d2e-7b8a-7c11-9a55-0242ac120002")
NOON = datetime(2026, 3, 2, 12, 0, 0, 250_000, tzinfo=UTC)


class State(Enum):
    NEW = "new"
    WORN_OUT = "worn out"


@dataclass
class PartRow:
    label: str
    weight: int = 0


@dataclass
class ThingRow:
    title: str = "stool"
    state: State | str | None = State.WORN_OUT
    due_date: date | None = date(2026, 2, 28)
    make_time: datetime | None = NOON
    span: timedelta | None = timedelta(minutes=90)
    count: int | None = None
    price_minor: int = 123_456
    owner_id: UUID | str | None = ID
    seal: bytes = b"\x00\xff"
    part: PartRow | None = field(default_factory=lambda: PartRow("leg", 3))
    parts: list[PartRow] = field(default_factory=lambda: [PartRow("a"), PartRow("b")])
    parts_by_place: dict[str, PartRow] = field(default_factory=lambda: {"left": PartRow("arm")})
    tags: tuple[str, ...] = ("x", "y")
    labels: dict[str, str] = field(default_factory=lambda: {"k": "v"})
    history: list[State] = field(default_factory=lambda: [State.NEW, State.WORN_OUT])
    secret: str = "no field of this name"


def test_every_field_of_the_same_name_is_carried() -> None:
    message = carry(ThingRow(), Thing)

    assert message == Thing(
        title="stool",
        state=2,
        due_date="2026-02-28",
        make_time=NOON,
        span=timedelta(minutes=90),
        price_minor=123_456,
        owner_id=str(ID),
        seal=b"\x00\xff",
        part=Part(label="leg", weight=3),
        parts=[Part(label="a"), Part(label="b")],
        parts_by_place={"left": Part(label="arm")},
        tags=["x", "y"],
        labels={"k": "v"},
        history=[1, 2],
    )
    assert not message.HasField("count")


def test_none_leaves_the_field_unset() -> None:
    message = carry(ThingRow(state=None, due_date=None, make_time=None, span=None, owner_id=None, part=None), Thing)

    assert message.state == 0
    assert not any(message.HasField(name) for name in ("make_time", "span", "part"))


@pytest.mark.parametrize("state", [State.NEW, "NEW", "new", "STATE_NEW"])
def test_an_enum_is_found_by_its_name_with_or_without_the_prefix(state: State | str) -> None:
    assert carry(ThingRow(state=state), Thing).state == 1


def test_an_unknown_enum_name_is_our_mistake() -> None:
    with pytest.raises(ValueError, match="has no value BROKEN"):
        carry(ThingRow(state="BROKEN"), Thing)


def test_an_override_wins_and_its_attribute_is_not_read() -> None:
    class Row:
        title = "from the row"

        @property
        def part(self) -> PartRow:
            raise AssertionError("a relationship that is not loaded must not be touched")

    message = carry(Row(), Thing, name="stores/a/things/1", part=PartRow("leg"), title=None, due_date=date(2026, 1, 1))

    assert message == Thing(name="stores/a/things/1", part=Part(label="leg"), due_date="2026-01-01")


def test_instants_of_any_zone_arrive_as_the_same_instant() -> None:
    beijing = NOON.astimezone(timezone(timedelta(hours=8)))

    assert carry(ThingRow(make_time=beijing), Thing).make_time == carry(ThingRow(), Thing).make_time


def test_an_instant_does_not_fit_into_a_text() -> None:
    with pytest.raises(TypeError, match="belongs into a Timestamp"):
        carry(ThingRow(), Thing, due_date=NOON)


def test_values_are_the_way_back() -> None:
    message = carry(ThingRow(), Thing)

    assert values(message, "title", "state", "due_date", "make_time", "span", "count", "price_minor", "tags") == {
        "title": "stool",
        "state": "WORN_OUT",
        "due_date": date(2026, 2, 28),
        "make_time": NOON,
        "span": timedelta(minutes=90),
        "count": None,
        "price_minor": 123_456,
        "tags": ["x", "y"],
    }


def test_values_of_an_empty_message_are_none_where_none_has_a_meaning() -> None:
    everything = values(Thing())

    assert everything["title"] == ""
    assert [everything[name] for name in ("state", "due_date", "make_time", "count", "part")] == [None] * 5
    assert (everything["labels"], everything["parts"], everything["history"]) == ({}, [], [])


def test_a_day_that_is_not_in_the_calendar_is_refused() -> None:
    with pytest.raises(InvalidArgument) as refused:
        values(Thing(due_date="2026-02-29"), "due_date")

    assert [(found.field, found.rule) for found in refused.value.violations] == [("due_date", "DATE")]


@pytest.mark.parametrize("seconds", [2**62, -(2**62), 253_402_300_800, -62_135_596_801])
def test_an_instant_that_no_calendar_has_is_refused(seconds: int) -> None:
    thing = Thing()
    thing.make_time.seconds = seconds

    with pytest.raises(InvalidArgument) as refused:
        values(thing, "make_time")

    assert [(found.field, found.rule) for found in refused.value.violations] == [("make_time", "TIME_RANGE")]
