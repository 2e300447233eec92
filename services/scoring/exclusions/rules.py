"""When a response can be taken out of the grades or in again (CARE-06)."""

from __future__ import annotations

from datetime import datetime

from kit.db.etag import check_etag
from kit.errors import Conflict, NotFound
from scoring.exclusions.values import Decision


class ResponseNotFound(NotFound):
    """The store has no such response, or it has not arrived yet."""

    reason = "RESPONSE_NOT_FOUND"


class ResponseExcluded(Conflict):
    """The response is excluded already; the reason that was given first stays."""

    reason = "RESPONSE_EXCLUDED"


class ResponseNotExcluded(Conflict):
    """The response counts already."""

    reason = "RESPONSE_NOT_EXCLUDED"


def decide(known: Decision, *, excluded: bool, by: str, reason: str, etag: str, now: datetime) -> Decision:
    """The next decision about a response; nobody overwrites what somebody else decided unseen.

    Raises:
        StaleEtag: somebody decided since the caller has seen it.
        ResponseExcluded: it is taken out already.
        ResponseNotExcluded: it counts already.
    """
    check_etag(etag, known.version)
    if excluded and known.excluded:
        raise ResponseExcluded("this response is excluded already")
    if not excluded and not known.excluded:
        raise ResponseNotExcluded("this response is not excluded")
    return Decision(excluded, known.version + 1, reason, by, now)
