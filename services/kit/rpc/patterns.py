"""The patterns of the contracts in words: nobody who sends a wrong name should have to read a regular expression."""

from __future__ import annotations

import re
from functools import cache
from typing import Final

_UUID: Final = "0195f3a2-7c1e-7b44-9d2a-3f5c8e1b6a70"
_DAY: Final = "2026-03-31"
# What stands for one part of a name, by the pattern of that part; the first that fits is taken.
_PARTS: Final = (
    ("[0-9a-f-]{36}", _UUID),
    (r"\d{4}-\d{2}-\d{2}", _DAY),
    ("20[0-9]{2}-(0[1-9]|1[0-2])", "2026-03"),
    ("[1-9][0-9]{0,5}", "1"),
    ("[A-Za-z0-9]{1,32}", "LGBH52E00RY000001"),
    ("[a-zA-Z]{1,30}Imports", "deliveryImports"),
    ("[a-zA-Z]{1,30}Mappings", "deliveryMappings"),
)
_IDS: Final = ("[a-z][a-z0-9-]{0,38}", "[a-z][a-z0-9-]{0,62}", "[a-z][a-z0-9._-]{0,62}")
_BY_COLLECTION: Final = {
    "stores": "bj-01",
    "regions": "north",
    "staff": "li.wei",
    "cadenceTemplates": "post-delivery",
    "satisfactionModels": "ssi-five-factor",
    "questionnaires": "ssi-five-factor",
    "deliveryMappings": "crm-export",
}
_OPTIONAL: Final = re.compile(r"\(([^()]*)\)\?")
_WHOLE: Final = {
    rf"^{_PARTS[1][0]}$": f"must be a date, such as {_DAY}",
    "^([01][0-9]|2[0-3]):[0-5][0-9]$": "must be a time of day, such as 08:30",
    "^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$": "must be a time of day up to 24:00, such as 17:30",
    "^[a-z][a-z0-9-]{0,38}$": (
        "must begin with a lower-case letter and have at most 39 lower-case letters, digits and hyphens, such as bj-01"
    ),
    "^[a-z][a-z0-9._-]{0,62}$": (
        "must begin with a lower-case letter and have at most 63 lower-case letters, digits, dots, hyphens and "
        "underscores, such as li.wei"
    ),
    "^[a-z0-9][a-z0-9._-]{1,62}$": (
        "must begin with a lower-case letter or a digit and have 2 to 63 lower-case letters, digits, dots, hyphens and "
        "underscores, such as li.wei"
    ),
    "^[A-Z]{2,4}-[0-9]{2}[a-z]?$": "must be the id of a business rule, such as CARE-03",
    "^(group|stores/[a-z][a-z0-9-]{0,38}|regions/[a-z][a-z0-9-]{0,38})$": (
        "must be group, or the name of a store or a region, such as stores/bj-01 or regions/north"
    ),
}


@cache
def in_words(pattern: str) -> str:
    """What a text must be that has to match this pattern of a contract, with an example where one is known."""
    if pattern in _WHOLE:
        return _WHOLE[pattern]
    example = _example(pattern.removeprefix("^").removesuffix("$"))
    if re.search(pattern, example) is None:
        return "has a wrong form"
    return f"must be a name such as {example}"


def _example(name: str) -> str:
    """The longest name that fits: with everything that may be left out."""
    for part, example in _PARTS:
        name = name.replace(part, example)
    name = _OPTIONAL.sub(r"\1", name)
    steps = name.split("/")
    for place, step in enumerate(steps[1:], start=1):
        if step in _IDS:
            steps[place] = _BY_COLLECTION.get(steps[place - 1], "bj-01")
    return "/".join(steps)
