"""Every pattern of the real contracts has words, so that no client is shown a regular expression."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor

from buf.validate import validate_pb2
from gateway.api import descriptors
from kit.rpc.patterns import in_words

_BLANK = r"\S"
_OF_A_PATTERN = re.compile(r"[\[\]\\^$|{}()*+?]")


def _patterns(message: Descriptor, seen: set[str]) -> Iterator[str]:
    if message.full_name in seen:
        return
    seen.add(message.full_name)
    for field in message.fields:
        rules: Any = descriptors.rules_of(field)
        if rules.WhichOneof("type") == "repeated":
            rules = rules.repeated.items
        if isinstance(rules, validate_pb2.FieldRules) and rules.string.HasField("pattern"):
            yield rules.string.pattern
        if field.message_type is not None:
            yield from _patterns(field.message_type, seen)


def _all() -> list[str]:
    contracts = descriptors.load(descriptors.default_path().read_bytes())
    seen: set[str] = set()
    found = {
        pattern
        for service in contracts.services
        for method in service.methods
        for pattern in _patterns(method.input_type, seen)
    }
    return sorted(found - {_BLANK})


@pytest.mark.parametrize("pattern", _all())
def test_a_pattern_of_the_contracts_has_words_with_an_example(pattern: str) -> None:
    words = in_words(pattern)

    assert "such as" in words
    assert _OF_A_PATTERN.search(words) is None
    assert re.search(pattern, re.split(" or | and ", words.rpartition("such as ")[2])[0])
