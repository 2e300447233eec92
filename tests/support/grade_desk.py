"""What the people of the group do with grades, each as one call with a real token, and what scoring hears."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TypeVar
from uuid import UUID

from google.protobuf.message import Message

from dealerloop.customer_care.events.v1.events_pb2 import ResponseSubmitted
from dealerloop.sales.v1.deliveries_pb2 import DeliveryFacts
from dealerloop.scoring.v1 import grades_pb2, months_pb2
from dealership import stores
from kit.db.scope import Scope
from scoring.frame import service as frame
from scoring.models.service import ModelCatalogue
from scoring.verifying.service import Verifying
from tests.support.one_service import OneService
from tests.support.postgres import DatabaseUrls
from tests.support.scoring import a_store

QUALITY = "ROLE_GROUP_QUALITY_MANAGER"
MANAGER = "ROLE_GENERAL_MANAGER"
REGIONAL = "ROLE_REGIONAL_MANAGER"
REPORTING = "ROLE_REPORTING_CLIENT"
OCTOBER = "2026-10"
NOVEMBER = "2026-11"
BEIJING, DELHI, ANGELES = "bj-01", "del-01", "la-01"
ZONES = {BEIJING: "Asia/Shanghai", DELHI: "Asia/Kolkata", ANGELES: "America/Los_Angeles"}
OCTOBER_ENDS = datetime(2026, 11, 1, 7, 0, tzinfo=UTC)
"""Midnight in Los Angeles, the last of the three."""
MID_OCTOBER = datetime(2026, 10, 15, 4, 0, tzinfo=UTC)

R = TypeVar("R", bound=Message)


class GradeDesk(OneService):
    """Scoring alone, knowing three stores in three time zones."""

    urls: DatabaseUrls

    async def open(self) -> GradeDesk:
        """Serve."""
        await self.start()
        async with self.database.transaction(Scope.system("test")) as session:
            await stores.save(session, [a_store(store_id, zone) for store_id, zone in ZONES.items()])
        return self

    async def hears(self, *responses: ResponseSubmitted) -> None:
        """Responses arrive, as one batch of events."""
        (subscription,) = (one for one in self.service.subscriptions if one.name == "live-grades")
        await self.hear(subscription.handle, responses)

    async def delivered(self, *deliveries: DeliveryFacts) -> None:
        """Deliveries come into the sample frame."""
        async with self.database.transaction(Scope.system("test")) as session:
            await frame.keep(session, deliveries)

    async def close(self, month: str = OCTOBER, *, token: str = "", key: str = "") -> months_pb2.Month:
        """The group quality manager closes a month, unless it is somebody else's token."""
        request = months_pb2.CloseMonthRequest(name=f"months/{month}", request_id=key)
        return await self.call("MonthService/CloseMonth", request, months_pb2.Month, token=token or self.token(QUALITY))

    async def reopen(
        self, month: str = OCTOBER, *, reason: str = "late answers", etag: str = "", key: str = "", token: str = ""
    ) -> months_pb2.Month:
        """He re-opens it."""
        request = months_pb2.ReopenMonthRequest(name=f"months/{month}", reason=reason, etag=etag, request_id=key)
        return await self.call(
            "MonthService/ReopenMonth", request, months_pb2.Month, token=token or self.token(QUALITY)
        )

    async def month(self, month: str = OCTOBER, *, token: str = "") -> months_pb2.Month:
        """The month as somebody sees it."""
        request = months_pb2.GetMonthRequest(name=f"months/{month}")
        return await self.call("MonthService/GetMonth", request, months_pb2.Month, token=token or self.token(QUALITY))

    async def grade(self, store_id: str = BEIJING, month: str = OCTOBER, *, token: str = "") -> grades_pb2.Grade:
        """A store's grade as it is shown."""
        request = grades_pb2.GetGradeRequest(name=f"stores/{store_id}/grades/{month}")
        token = token or self.token(MANAGER, store_id)
        return await self.call("GradeService/GetGrade", request, grades_pb2.Grade, token=token)

    async def closed_grade(self, store_id: str, month: str, revision: int, *, token: str = "") -> grades_pb2.Grade:
        """A store's grade as one revision has fixed it."""
        request = months_pb2.GetClosedGradeRequest(name=f"stores/{store_id}/grades/{month}/revisions/{revision}")
        token = token or self.token(MANAGER, store_id)
        return await self.call("MonthService/GetClosedGrade", request, grades_pb2.Grade, token=token)

    async def counted(
        self, store_id: str, month: str, revision: int, *, token: str = "", size: int = 0
    ) -> list[months_pb2.CountedResponse]:
        """Every response of a closed grade, page by page."""
        token = token or self.token(MANAGER, store_id)
        request = months_pb2.ListCountedResponsesRequest(
            parent=f"stores/{store_id}/grades/{month}/revisions/{revision}", page_size=size
        )
        found: list[months_pb2.CountedResponse] = []
        while True:
            answer = await self.call(
                "MonthService/ListCountedResponses", request, months_pb2.ListCountedResponsesResponse, token=token
            )
            found += answer.counted_responses
            if not answer.next_page_token:
                return found
            request.page_token = answer.next_page_token

    async def changes(
        self, month: str, revision: int, *, token: str = "", size: int = 0
    ) -> list[months_pb2.GradeChange]:
        """What a revision changed, page by page."""
        request = months_pb2.ListGradeChangesRequest(parent=f"months/{month}/revisions/{revision}", page_size=size)
        found: list[months_pb2.GradeChange] = []
        while True:
            answer = await self.call(
                "MonthService/ListGradeChanges",
                request,
                months_pb2.ListGradeChangesResponse,
                token=token or self.token(QUALITY),
            )
            found += answer.changes
            if not answer.next_page_token:
                return found
            request.page_token = answer.next_page_token

    async def exclude(
        self,
        number: int,
        *,
        store_id: str = BEIJING,
        reason: str = "filled in by the consultant",
        etag: str = "",
        key: str = "",
        token: str = "",
    ) -> months_pb2.ResponseCounting:
        """The group quality manager takes a response out of the grades."""
        request = months_pb2.ExcludeResponseRequest(
            name=response_name(number, store_id), reason=reason, etag=etag, request_id=key
        )
        return await self.call(
            "ResponseService/ExcludeResponse",
            request,
            months_pb2.ResponseCounting,
            token=token or self.token(QUALITY),
        )

    async def include(self, number: int, *, store_id: str = BEIJING, etag: str = "") -> months_pb2.ResponseCounting:
        """He counts it again."""
        request = months_pb2.IncludeResponseRequest(name=response_name(number, store_id), reason="checked", etag=etag)
        return await self.call(
            "ResponseService/IncludeResponse", request, months_pb2.ResponseCounting, token=self.token(QUALITY)
        )

    async def counting_of(
        self, number: int, *, store_id: str = BEIJING, token: str = ""
    ) -> months_pb2.ResponseCounting:
        """Whether a response counts."""
        request = months_pb2.GetResponseCountingRequest(name=response_name(number, store_id))
        return await self.call(
            "ResponseService/GetResponseCounting",
            request,
            months_pb2.ResponseCounting,
            token=token or self.token(QUALITY),
        )

    async def differences(self, month: str = "") -> list[str]:
        """What a recomputation of everything finds."""
        found: list[str] = []
        await Verifying(self.database, ModelCatalogue()).run(month, found.append)
        return found


def response_name(number: int, store_id: str = BEIJING) -> str:
    """The resource name of a response."""
    return f"stores/{store_id}/responses/{UUID(int=number)}"


def ids(numbers: Iterable[int]) -> list[str]:
    """The ids of these responses, in order."""
    return sorted(str(UUID(int=number)) for number in numbers)
