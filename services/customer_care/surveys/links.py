"""The signed token of a survey's public link: who has it may answer, and nobody can make one up."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Final
from uuid import UUID

from kit.errors import NotFound

_SIGNATURE_BYTES: Final = 16
_ID_BYTES: Final = 16
# Separates these signatures from any other use of the same key.
_PURPOSE: Final = b"customer_care.survey.link\x00"
PUBLIC_PATH: Final = "/s/"


class SurveyLinkInvalid(NotFound):
    """No survey has this link: it was altered, or cut off."""

    reason = "SURVEY_LINK_INVALID"


class SurveyLinks:
    """Makes and reads tokens: 43 url-safe characters that hold the survey's id and a keyed signature of it."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def token(self, survey_id: UUID) -> str:
        """Return the token of a survey; always the same for the same survey and key."""
        signed = survey_id.bytes + self._signature(survey_id.bytes)
        return base64.urlsafe_b64encode(signed).rstrip(b"=").decode()

    def path(self, survey_id: UUID) -> str:
        """Return the path of the public page."""
        return PUBLIC_PATH + self.token(survey_id)

    def survey_id(self, token: str) -> UUID:
        """Return the survey that a token belongs to. Raises SurveyLinkInvalid."""
        try:
            data = base64.b64decode(token + "=", altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            data = b""
        # Compared in constant time, and again as text: several texts decode to the same bytes.
        signature = self._signature(data[:_ID_BYTES])
        if not hmac.compare_digest(data[_ID_BYTES:], signature):
            raise SurveyLinkInvalid("there is no survey with this link")
        survey_id = UUID(bytes=data[:_ID_BYTES])
        if self.token(survey_id) != token:
            raise SurveyLinkInvalid("there is no survey with this link")
        return survey_id

    def _signature(self, data: bytes) -> bytes:
        return hmac.new(self._key, _PURPOSE + data, hashlib.sha256).digest()[:_SIGNATURE_BYTES]
