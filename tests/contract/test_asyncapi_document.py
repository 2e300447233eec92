"""The document of the events is what the contracts say, and its addresses are those that the relay uses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dealerloop.sales.events.v1.events_pb2 import DeliveryRecorded
from dealerloop.sales.v1.deliveries_pb2 import DeliveryFacts
from kit.messaging.event import subject_for
from tools import asyncapi

_COMMITTED = Path(__file__).resolve().parents[2] / "docs" / "api" / "asyncapi.yaml"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return asyncapi.document()


def test_the_committed_document_is_made_from_these_contracts() -> None:
    assert _COMMITTED.read_text(encoding="utf-8") == asyncapi.text(), (
        "the events have changed: python -m tools.asyncapi docs/api/asyncapi.yaml"
    )


def test_an_address_is_the_subject_that_the_event_is_published_on(document: dict[str, Any]) -> None:
    event = DeliveryRecorded(delivery_id="d1", delivery=DeliveryFacts(delivery_id="d1"))

    address = document["channels"]["sales.DeliveryRecorded"]["address"]

    assert address.format(delivery_id="d1") == subject_for(event)


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    for reference in references(document):
        place: Any = document
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]
        assert place


def references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [found for value in node.values() for found in references(value)]
    if isinstance(node, list):
        return [found for value in node for found in references(value)]
    return []
