from __future__ import annotations

import pytest

from kit.errors import InvalidArgument
from kit.rpc import validation
from tests.support.things import CreateThingRequest, Part, Thing


def test_every_broken_rule_is_named_with_its_path_in_proto_names() -> None:
    request = CreateThingRequest(
        parent="Stores/BJ", thing=Thing(title="", tags=["ok", "too long"], labels={"on tür": "too long"})
    )

    found = validation.violations(request)

    assert [(violation.field, violation.rule) for violation in found] == [
        ("parent", "string.pattern"),
        ("thing.title", "string.min_len"),
        ("thing.tags[1]", "string.max_len"),
        ('thing.labels["on tür"]', "string.max_len"),
    ]
    assert all(violation.description for violation in found)
    assert found[1].description == "must be given"


def test_a_merged_resource_is_checked_under_its_place_in_the_request() -> None:
    with pytest.raises(InvalidArgument) as refused:
        validation.validate(Thing(title="t", part=Part(label="much too long")), prefix="thing")

    assert [violation.field for violation in refused.value.violations] == ["thing.part.label"]


def test_a_message_that_keeps_its_rules_passes() -> None:
    validation.validate(CreateThingRequest(parent="stores/bj-01", thing=Thing(title="t")))
