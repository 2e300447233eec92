from __future__ import annotations

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from kit.errors import InvalidArgument
from kit.rpc import masks
from tests.support.things import Part, Thing

NAME = "stores/bj-01/things/1"


def a_thing() -> Thing:
    return Thing(
        name=NAME,
        title="old",
        kind="chair",
        state=1,
        part=Part(name="parts/1", label="leg", weight=3, checked=True),
        tags=["a", "b"],
        labels={"k": "v"},
        due_date="2026-03-02",
        count=4,
        parts=[Part(label="back")],
        parts_by_place={"left": Part(label="arm")},
        etag="1",
    )


def refusal(patch: Thing, *paths: str) -> list[tuple[str, str]]:
    target = a_thing()
    with pytest.raises(InvalidArgument) as refused:
        masks.merge(target, patch, FieldMask(paths=paths), prefix="thing")
    assert target == a_thing(), "a refused update changes nothing"
    return [(violation.field, violation.rule) for violation in refused.value.violations]


def merged(patch: Thing, *paths: str) -> Thing:
    target = a_thing()
    masks.merge(target, patch, FieldMask(paths=paths))
    return target


def test_only_the_named_fields_change() -> None:
    expected = a_thing()
    expected.title = "new"

    assert merged(Thing(title="new", due_date="2027-01-01", count=9), "title") == expected


def test_a_named_field_that_the_patch_leaves_out_is_cleared() -> None:
    result = merged(Thing(), "due_date", "count", "tags", "labels", "part.weight")

    assert (result.due_date, list(result.tags), dict(result.labels)) == ("", [], {})
    assert not result.HasField("count")
    assert result.part == Part(name="parts/1", label="leg", checked=True)


def test_lists_and_maps_are_replaced_as_a_whole() -> None:
    patch = Thing(
        tags=["c"], labels={"x": "y"}, parts=[Part(label="seat")], parts_by_place={"right": Part(label="arm")}
    )

    result = merged(patch, "tags", "labels", "parts", "parts_by_place")

    assert (list(result.tags), dict(result.labels)) == (["c"], {"x": "y"})
    assert [part.label for part in result.parts] == ["seat"]
    assert set(result.parts_by_place) == {"right"}


def test_a_path_reaches_into_a_nested_message() -> None:
    assert merged(Thing(part=Part(label="arm", weight=9)), "part.label").part == Part(
        name="parts/1", label="arm", weight=3, checked=True
    )


def test_a_message_named_by_its_own_path_is_replaced_except_for_what_only_the_server_sets() -> None:
    assert merged(Thing(part=Part(label="arm", checked=False)), "part").part == Part(
        name="parts/1", label="arm", checked=True
    )


def test_a_nested_message_can_be_removed() -> None:
    assert not merged(Thing(), "part").HasField("part")


def test_without_a_mask_all_that_the_patch_sets_is_meant() -> None:
    result = merged(Thing(title="new", part=Part(weight=5), count=0))

    expected = a_thing()
    expected.title, expected.part.weight, expected.count = "new", 5, 0
    assert result == expected


def test_without_a_mask_a_client_may_send_back_what_it_has_read() -> None:
    patch = a_thing()
    patch.title = "new"
    patch.state = 2
    patch.etag = "0"

    result = merged(patch)

    assert (result.title, result.state, result.etag) == ("new", 1, "1")


def test_a_star_replaces_the_content() -> None:
    result = merged(Thing(title="new", kind="chair"), "*")

    assert result == Thing(name=NAME, title="new", kind="chair", state=1, etag="1")


def test_the_etag_is_no_content() -> None:
    assert merged(Thing(etag="9"), "etag") == a_thing()


@pytest.mark.parametrize(
    "path", ["colour", "part.colour", "title.length", "parts.label", "labels.k", "make_time.seconds", ""]
)
def test_a_path_that_leads_nowhere_is_refused(path: str) -> None:
    assert refusal(Thing(title="new"), "title", path) == [("update_mask", "MASK_UNKNOWN_FIELD")]


@pytest.mark.parametrize("path", ["state", "part.checked"])
def test_what_only_the_server_sets_cannot_be_named(path: str) -> None:
    assert refusal(Thing(state=2, part=Part(checked=True)), path) == [("update_mask", "MASK_OUTPUT_ONLY")]


@pytest.mark.parametrize("paths", [("kind",), ("*",), ()])
def test_an_immutable_field_keeps_its_value(paths: tuple[str, ...]) -> None:
    assert refusal(Thing(kind="table"), *paths) == [("thing.kind", "FIELD_IMMUTABLE")]
    assert merged(Thing(kind="chair"), *paths).kind == "chair"


@pytest.mark.parametrize("paths", [("name",), ()])
def test_an_update_cannot_rename_the_resource(paths: tuple[str, ...]) -> None:
    assert refusal(Thing(name="stores/sh-01/things/1"), *paths) == [("thing.name", "FIELD_IMMUTABLE")]
    assert merged(Thing(name=NAME), *paths) == a_thing()
