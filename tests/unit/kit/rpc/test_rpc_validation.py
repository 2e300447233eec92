from __future__ import annotations

import pytest

from kit.errors import InvalidArgument
from kit.rpc import validation
from kit.rpc.patterns import in_words
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
    assert found[0].description == "must be a name such as stores/bj-01"
    assert found[1].description == "must be given"


def test_a_merged_resource_is_checked_under_its_place_in_the_request() -> None:
    with pytest.raises(InvalidArgument) as refused:
        validation.validate(Thing(title="t", part=Part(label="much too long")), prefix="thing")

    assert [violation.field for violation in refused.value.violations] == ["thing.part.label"]


def test_a_message_that_keeps_its_rules_passes() -> None:
    validation.validate(CreateThingRequest(parent="stores/bj-01", thing=Thing(title="t")))


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        (r"^\d{4}-\d{2}-\d{2}$", "must be a date, such as 2026-03-31"),
        (
            "^stores/[a-z][a-z0-9-]{0,38}/staff/[a-z][a-z0-9._-]{0,62}$",
            "must be a name such as stores/bj-01/staff/li.wei",
        ),
        (
            "^(stores/[a-z][a-z0-9-]{0,38}/)?[a-zA-Z]{1,30}Mappings/[a-z][a-z0-9-]{0,62}$",
            "must be a name such as stores/bj-01/deliveryMappings/crm-export",
        ),
        ("^(stores/[a-z][a-z0-9-]{0,38})?$", "must be a name such as stores/bj-01"),
        ("^[xyz]+$", "has a wrong form"),
    ],
)
def test_a_pattern_is_told_in_words(pattern: str, words: str) -> None:
    assert in_words(pattern) == words
