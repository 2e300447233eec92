"""What the people of a store do with customer care, each as one call with a real token, and what it hears."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from google.protobuf.message import Message

from dealerloop.aftersales.events.v1 import events_pb2 as aftersales
from dealerloop.aftersales.v1 import vehicles_pb2
from dealerloop.customer_care.v1 import cadences_pb2, follow_ups_pb2, surveys_pb2
from dealerloop.gateway.v1 import organisation_pb2
from dealership import stores
from kit.db.scope import Scope
from kit.timers import TimerWorker
from tests.support.deliveries import NOW, OTHER_STORE, STORE, vin_of
from tests.support.one_service import OneService
from tests.support.people import everybody
from tests.support.postgres import Cloner, DatabaseUrls

R = TypeVar("R", bound=Message)
CONSULTANT = "ROLE_SALES_CONSULTANT"
SPECIALIST = "ROLE_CARE_SPECIALIST"
QUALITY = "ROLE_GROUP_QUALITY_MANAGER"


class CareDesk(OneService):
    """Customer care alone, knowing the people of two stores that are open from 08:30 to 20:00 every day."""

    urls: DatabaseUrls

    async def open(self) -> CareDesk:
        """Serve."""
        await self.start()
        await self.know(STORE, OTHER_STORE)
        await self.know_people(*everybody(STORE, OTHER_STORE))
        return self

    async def know(self, *store_ids: str, version: int = 1) -> None:
        """Put stores into the directory."""
        hours = [organisation_pb2.OpeningInterval(start="08:30", end="20:00")]
        week = [organisation_pb2.OpeningDay(weekday=day, intervals=hours) for day in range(1, 8)]
        facts = [
            organisation_pb2.StoreFacts(
                store_id=one,
                version=version,
                display_name=f"Store {one}",
                time_zone="Asia/Shanghai",
                calendar=organisation_pb2.Calendar(days=week, confirmed_years=range(2024, 2035)),
            )
            for one in store_ids
        ]
        async with self.database.transaction(Scope.system("test")) as session:
            await stores.save(session, facts)

    async def told_of(self, subscription: str, *messages: Message) -> None:
        """Hear these events as one batch of that subscription."""
        handle = next(one.handle for one in self.service.subscriptions if one.name == subscription)
        await self.hear(handle, messages)

    async def deliveries(self, *messages: Message) -> None:
        """Hear of deliveries."""
        await self.told_of("deliveries", *messages)

    async def fire(self) -> int:
        """Fire the timers that are due; returns how many."""
        worker = TimerWorker(self.database, self.clock, self.service.timers)
        return await worker.fire_due()

    async def ask(self, method: str, request: Message, response: type[R], role: str = SPECIALIST) -> R:
        """Call a method as somebody of the store."""
        places = () if role == QUALITY else (STORE,)
        return await self.call(method, request, response, token=self.token(role, *places))

    async def follow_ups(self, **fields: Any) -> dict[str, follow_ups_pb2.FollowUp]:
        """The store's follow-ups by step and occurrence, such as `CAD-06/2`."""
        page = await self.page(**{"page_size": 200} | fields)
        return {f"{one.step}/{one.occurrence}": one for one in page.follow_ups}

    async def page(self, **fields: Any) -> follow_ups_pb2.ListFollowUpsResponse:
        """A page of the store's follow-ups."""
        request = follow_ups_pb2.ListFollowUpsRequest(**{"parent": f"stores/{STORE}"} | fields)
        return await self.ask("FollowUpService/ListFollowUps", request, follow_ups_pb2.ListFollowUpsResponse)

    async def record(
        self, name: str, outcome: str = "REACHED", *, at: datetime | None = None, **fields: Any
    ) -> follow_ups_pb2.FollowUp:
        """Record an attempt."""
        attempt = follow_ups_pb2.Attempt(
            outcome=f"ATTEMPT_OUTCOME_{outcome}", attempt_time=at, note=fields.pop("note", "")
        )
        request = follow_ups_pb2.RecordAttemptRequest(name=name, attempt=attempt, **fields)
        return await self.ask("FollowUpService/RecordAttempt", request, follow_ups_pb2.FollowUp)

    async def surveys(self, **fields: Any) -> Sequence[surveys_pb2.Survey]:
        """The store's surveys, newest first."""
        request = surveys_pb2.ListSurveysRequest(**{"parent": f"stores/{STORE}"} | fields)
        response = await self.ask("SurveyService/ListSurveys", request, surveys_pb2.ListSurveysResponse)
        return response.surveys

    async def submit(self, name: str, *answers: surveys_pb2.Answer, **fields: Any) -> surveys_pb2.Survey:
        """Key in the answers of a call."""
        request = surveys_pb2.SubmitSurveyRequest(
            **{"name": name, "answers": answers or (overall(),), "mode": "INTERVIEW_MODE_PHONE"} | fields
        )
        return await self.ask("SurveyService/SubmitSurvey", request, surveys_pb2.Survey)

    async def submit_link(self, token: str, *answers: surveys_pb2.Answer) -> surveys_pb2.PublicSurvey:
        """Answer on the public page."""
        request = surveys_pb2.SubmitPublicSurveyRequest(token=token, answers=answers or (overall(),))
        return await self.call("SurveyService/SubmitPublicSurvey", request, surveys_pb2.PublicSurvey)

    async def publish(self, *steps: cadences_pb2.CadenceStep) -> cadences_pb2.CadenceTemplateVersion:
        """Write and publish a version of the cadence of deliveries with the shipped steps and these."""
        first = await self.ask(
            "CadenceService/GetCadenceTemplateVersion",
            cadences_pb2.GetCadenceTemplateVersionRequest(name="cadenceTemplates/post-delivery/versions/1"),
            cadences_pb2.CadenceTemplateVersion,
        )
        draft = await self.create_version([*first.steps, *steps])
        request = cadences_pb2.PublishCadenceTemplateVersionRequest(name=draft.name)
        return await self.ask(
            "CadenceService/PublishCadenceTemplateVersion", request, cadences_pb2.CadenceTemplateVersion, QUALITY
        )

    async def create_version(self, steps: Sequence[cadences_pb2.CadenceStep]) -> cadences_pb2.CadenceTemplateVersion:
        """Write a draft."""
        request = cadences_pb2.CreateCadenceTemplateVersionRequest(
            parent="cadenceTemplates/post-delivery",
            cadence_template_version=cadences_pb2.CadenceTemplateVersion(steps=steps),
        )
        method = "CadenceService/CreateCadenceTemplateVersion"
        return await self.ask(method, request, cadences_pb2.CadenceTemplateVersion, QUALITY)


def care_desk(database_urls: Cloner, keys: Path, start: datetime = NOW) -> CareDesk:
    """A desk with a database of its own; not serving yet."""
    urls = database_urls("customer_care")
    desk = CareDesk("customer_care", urls, keys, start)
    desk.urls = urls
    return desk


def overall(mark: int = 6) -> surveys_pb2.Answer:
    """The one answer that must be given."""
    return surveys_pb2.Answer(question="SSI.OVERALL", mark=mark)


def first_service(
    number: int = 1, version: int = 1, *, due: str = "2026-11-20", done: str = ""
) -> aftersales.FirstServiceChanged:
    """The first service of the vehicle of the delivery with this number."""
    service = vehicles_pb2.FirstService(vin=vin_of(number), version=version, due_date=due, due_km=5000, done_date=done)
    return aftersales.FirstServiceChanged(vin=service.vin, first_service=service)


def visit(number: int = 1, *, day: str = "2026-05-20", kind: str = "KIND_FIRST_SERVICE") -> aftersales.VisitFinished:
    """A finished visit of that vehicle."""
    return aftersales.VisitFinished(visit_id="visit", store_id=STORE, vin=vin_of(number), visit_date=day, kind=kind)


def extra_step(code: str = "CAD-10", **fields: Any) -> cadences_pb2.CadenceStep:
    """One more call of the consultant, on the fifth day."""
    window = cadences_pb2.Window(anchor="ANCHOR_DELIVERY", first_day=5, last_day=5)
    default: dict[str, Any] = {
        "code": code,
        "titles": {"en": code},
        "owner_role": "OWNER_ROLE_CONSULTANT",
        "window": window,
    }
    return cadences_pb2.CadenceStep(**default | fields)
