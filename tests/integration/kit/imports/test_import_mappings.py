"""Mappings: given with the file, kept under a name, and refused when they fit no file."""

from __future__ import annotations

from typing import Any

import pytest

from dealerloop.imports.v1 import imports_pb2 as pb
from kit.errors import InvalidArgument, NotFound, StaleEtag
from tests.support.import_desk import STORE, Desk

NAME = f"stores/{STORE}/parcelMappings/old-system"
STRANGE = "Nr;Wann;kg\nA;1/2/2026;10\n"


def replaced(field: str, said: str, meant: str) -> pb.Replacement:
    return pb.Replacement(**{"field": field, "from": said, "to": meant})


async def save(desk: Desk, mapping: pb.Mapping, etag: str = "", name: str = NAME) -> pb.MappingProfile:
    request = pb.SaveMappingProfileRequest(mapping_profile=pb.MappingProfile(name=name, mapping=mapping, etag=etag))
    return await desk.call(desk.edge.save_mapping_profile, request)


async def test_a_mapping_says_what_cannot_be_recognised(desk: Desk) -> None:
    mapping = pb.Mapping(columns={"code": "nr", "day": "#B"}, date_order=pb.Mapping.DATE_ORDER_DMY)
    done = await desk.bring(STRANGE, mapping=mapping)

    assert (done.state, done.taken) == (pb.Import.STATE_DONE, 1)
    assert await desk.rows("SELECT code, day::text FROM parcel") == [("A", "2026-02-01")]


async def test_a_kept_mapping_is_used_and_what_comes_with_the_file_comes_first(desk: Desk) -> None:
    await save(desk, pb.Mapping(columns={"code": "nr", "day": "Wann"}, date_order=pb.Mapping.DATE_ORDER_DMY))
    own = pb.Mapping(date_order=pb.Mapping.DATE_ORDER_MDY, replacements=[replaced("code", " a ", "Z")])
    done = await desk.bring(STRANGE, mapping_profile=NAME, mapping=own)

    assert (done.state, done.mapping_profile) == (pb.Import.STATE_DONE, NAME)
    assert await desk.rows("SELECT code, day::text FROM parcel") == [("Z", "2026-01-02")]


async def test_a_kept_mapping_is_changed_only_by_who_has_seen_it(desk: Desk) -> None:
    first = await save(desk, pb.Mapping(columns={"code": "nr"}))
    second = await save(desk, pb.Mapping(columns={"code": "Nummer"}), first.etag)
    assert second.etag != first.etag

    with pytest.raises(StaleEtag):
        await save(desk, pb.Mapping(columns={"code": "lost"}), first.etag)
    shown = await desk.call(desk.edge.get_mapping_profile, pb.GetMappingProfileRequest(name=NAME))
    assert shown == second


async def test_kept_mappings_are_listed_by_name_and_can_be_forgotten(desk: Desk) -> None:
    for letter in "cab":
        await save(desk, pb.Mapping(), name=f"stores/{STORE}/parcelMappings/{letter}")
    request = pb.ListMappingProfilesRequest(parent=f"stores/{STORE}", page_size=2)
    page = await desk.call(desk.edge.list_mapping_profiles, request)
    assert [one.name[-1] for one in page.mapping_profiles] == ["a", "b"]
    request.page_token = page.next_page_token
    page = await desk.call(desk.edge.list_mapping_profiles, request)
    assert [one.name[-1] for one in page.mapping_profiles] == ["c"]

    name = page.mapping_profiles[0].name
    await desk.call(desk.edge.delete_mapping_profile, pb.DeleteMappingProfileRequest(name=name))
    with pytest.raises(NotFound):
        await desk.call(desk.edge.get_mapping_profile, pb.GetMappingProfileRequest(name=name))


async def test_a_store_does_not_see_the_mappings_of_the_group(desk: Desk, group_desk: Desk) -> None:
    await save(group_desk, pb.Mapping(), name="parcelMappings/old-system")

    with pytest.raises(InvalidArgument) as refusal:
        await desk.open(mapping_profile=NAME)
    assert [violation[:2] for violation in refusal.value.violations] == [("import.mapping_profile", "MAPPING_UNKNOWN")]


@pytest.mark.parametrize(
    ("mapping", "field", "rule"),
    [
        ({"columns": {"colour": "x"}}, "import.mapping.columns.colour", "FIELD_UNKNOWN"),
        ({"constants": {"colour": "x"}}, "import.mapping.constants.colour", "FIELD_UNKNOWN"),
        ({"replacements": [replaced("colour", "a", "b")]}, "import.mapping.replacements[0].field", "FIELD_UNKNOWN"),
        ({"columns": {"code": "#1"}}, "import.mapping.columns.code", "COLUMN_PLACE"),
        ({"columns": {"code": "x", "owner": " X"}}, "import.mapping.columns.owner", "COLUMN_TWICE"),
        ({"constants": {"day": "tomorrow"}}, "import.mapping.constants.day", "DATE_INVALID"),
        ({"encoding": "klingon"}, "import.mapping.encoding", "ENCODING_UNKNOWN"),
        ({"delimiter": "::"}, "import.mapping.delimiter", "DELIMITER"),
    ],
)
async def test_a_mapping_that_fits_no_file_is_refused_at_once(
    desk: Desk, mapping: dict[str, Any], field: str, rule: str
) -> None:
    with pytest.raises(InvalidArgument) as refusal:
        await desk.open(mapping=pb.Mapping(**mapping))
    assert [violation[:2] for violation in refusal.value.violations] == [(field, rule)]
