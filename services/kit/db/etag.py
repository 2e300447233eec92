"""Etags: the version of a row, as clients see it."""

from kit.errors import StaleEtag


def etag_of(version: int) -> str:
    """Return the etag of that version; opaque to clients."""
    return f'"{version:x}"'


def check_etag(given: str, version: int) -> None:
    """Refuse a change that was made against another version; an empty etag means that the caller does not mind.

    Accepts the quoted and the bare form, and a list as `If-Match` allows. Raises StaleEtag.
    """
    given = given.strip()
    if not given or given == "*":
        return
    current = etag_of(version).strip('"')
    offered = (part.strip().removeprefix("W/").strip('"') for part in given.split(","))
    if current not in offered:
        raise StaleEtag("It was changed since you read it; read it again.", metadata={"etag": etag_of(version)})
