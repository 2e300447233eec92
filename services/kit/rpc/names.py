"""Resource names: `stores/{store}/deliveries/{delivery}` taken apart and put together."""

from __future__ import annotations

import re
from functools import lru_cache
from uuid import UUID

from kit.errors import NotFound, invalid

_VARIABLE = re.compile(r"\{([a-z_]+)\}")
_SEGMENT = r"[^/]{1,100}"
_UUID_LENGTH = 36


class UnknownName(NotFound):
    """The name is well formed, but nothing can be called so."""

    reason = "NAME_NOT_FOUND"


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    parts = _VARIABLE.split(pattern)
    text = "".join(re.escape(part) if i % 2 == 0 else f"(?P<{part}>{_SEGMENT})" for i, part in enumerate(parts))
    return re.compile(text)


def parse(name: str, pattern: str, *, field: str = "name") -> dict[str, str]:
    """The variables of a resource name.

    Args:
        name: what the caller sent.
        pattern: such as `stores/{store}/deliveries/{delivery}`.
        field: path of the request field that held it, for the error.

    Raises:
        InvalidArgument: the name has another form (rule RESOURCE_NAME).
    """
    match = _compiled(pattern).fullmatch(name)
    if match is None:
        raise invalid(field, "RESOURCE_NAME", f"must have the form {pattern}")
    return match.groupdict()


def format_name(pattern: str, **variables: object) -> str:
    """The resource name with the variables put in.

    Raises:
        ValueError: a variable is missing, empty, or contains a slash; that is a mistake of ours, not of a caller.
    """

    def put(match: re.Match[str]) -> str:
        text = str(variables.get(match[1], ""))
        if not text or "/" in text:
            raise ValueError(f"{match[1]}={text!r} does not fit into {pattern}")
        return text

    return _VARIABLE.sub(put, pattern)


format = format_name  # noqa: A001 - it reads as `names.format(...)` where it is used


def parse_id(text: str) -> UUID:
    """The UUID in the last segment of a name, or of an id alone.

    Raises:
        NotFound: it is no UUID in its canonical form, so nothing can be called so.
    """
    last = text.rpartition("/")[2]
    try:
        identity = UUID(last)
    except ValueError:
        raise UnknownName(metadata={"name": text}) from None
    if len(last) != _UUID_LENGTH or str(identity) != last.lower():
        raise UnknownName(metadata={"name": text})
    return identity


def store_of(name: str) -> str:
    """The store id in a name that begins with `stores/{store}`; empty for any other name."""
    first, _, rest = name.partition("/")
    return rest.partition("/")[0] if first == "stores" else ""
