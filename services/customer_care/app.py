"""The composition root of customer care."""

from __future__ import annotations

from datetime import timedelta

from customer_care.cadences.rpc import CadenceEdge
from customer_care.cadences.service import CadenceCatalogue
from customer_care.care_plans.handlers import DELIVERY_EVENTS, WORKSHOP_EVENTS, CarePlanHandlers
from customer_care.care_plans.rebuild import Rebuild
from customer_care.care_plans.service import CarePlans
from customer_care.care_plans.windows import WINDOW, WindowTimers
from customer_care.clients import Aftersales, Sales
from customer_care.complaints.levels import Thresholds
from customer_care.complaints.policy import Policy, TimeKind
from customer_care.complaints.rpc import ComplaintEdge
from customer_care.complaints.service import Complaints
from customer_care.complaints.timing import CLOCK, ClockTimers
from customer_care.complaints.values import ClockKind
from customer_care.contacts.handlers import CONTACT_EVENTS, ContactHandlers
from customer_care.contacts.service import ContactBook, ContactProjection
from customer_care.followups.rpc import FollowUpEdge
from customer_care.followups.service import FollowUps
from customer_care.settings import Settings
from customer_care.stores import StoreCache
from customer_care.streams import AFTERSALES, CARE, SALES
from customer_care.surveys.cases import Cases
from customer_care.surveys.catalogue import QuestionnaireCatalogue
from customer_care.surveys.links import SurveyLinks
from customer_care.surveys.projection import ResponseProjectionEdge
from customer_care.surveys.rpc import SurveyEdge
from customer_care.surveys.service import Surveys
from dealerloop.customer_care.events.v1 import projections_pb2
from dealerloop.customer_care.v1 import cadences_pb2, complaints_pb2, follow_ups_pb2, surveys_pb2
from dealership import staff, stores
from dealership.roles import GRANTS
from kit.db.scope import Scope
from kit.messaging.subscription import Subscription
from kit.rpc.server import RpcService
from kit.service import KitContext, Service

DELIVERIES = "deliveries"
WORKSHOP = "workshop"
CONTACTS = "contacts"


def build(ctx: KitContext) -> Service:
    """Put customer care together."""
    settings = ctx.settings
    assert isinstance(settings, Settings)
    gateway = ctx.peer("gateway")
    store_cache = StoreCache(gateway)
    sales, aftersales = Sales(ctx.peer("sales")), Aftersales(ctx.peer("aftersales"))
    questionnaires = QuestionnaireCatalogue()
    cadences = CadenceCatalogue(questionnaires, ctx.clock)
    links = SurveyLinks(ctx.links_key)
    care_plans = CarePlans(cadences, questionnaires, store_cache, survey_days=settings.survey_link_days)
    contacts = ContactProjection(ctx.vault, sales)
    contact_book = ContactBook(ctx.vault, contacts)
    follow_ups = FollowUps(cadences, contact_book, store_cache, ctx.vault)
    policy = _policy(settings)
    complaints = Complaints(contact_book, store_cache, ctx.vault, policy, gateway=gateway)
    cases = Cases(complaints, _thresholds(settings), settings.case_language)
    surveys = Surveys(questionnaires, follow_ups, cases, store_cache, links, ctx.vault)
    handlers = CarePlanHandlers(care_plans)
    rebuild = Rebuild(ctx.database, care_plans, ctx.clock)

    async def rebuild_deliveries(_source: str, _old: int, _new: int) -> None:
        await rebuild.deliveries(sales)

    async def rebuild_first_services(_source: str, _old: int, _new: int) -> None:
        await rebuild.first_services(aftersales)

    async def rebuild_contacts(_source: str, _old: int, _new: int) -> None:
        async with ctx.database.transaction(Scope.system("rebuild of contacts")) as session:
            await contacts.rebuild(session)

    return Service(
        name=CARE.service,
        settings=settings,
        rpcs=[
            RpcService(cadences_pb2.DESCRIPTOR.services_by_name["CadenceService"], CadenceEdge(cadences)),
            RpcService(follow_ups_pb2.DESCRIPTOR.services_by_name["FollowUpService"], FollowUpEdge(follow_ups)),
            RpcService(
                surveys_pb2.DESCRIPTOR.services_by_name["SurveyService"], SurveyEdge(surveys, questionnaires, links)
            ),
            RpcService(complaints_pb2.DESCRIPTOR.services_by_name["ComplaintService"], ComplaintEdge(complaints)),
            RpcService(
                projections_pb2.DESCRIPTOR.services_by_name["ResponseProjectionService"],
                ResponseProjectionEdge(questionnaires),
            ),
        ],
        streams=[CARE],
        subscriptions=[
            stores.subscription(ctx.database, gateway),
            staff.subscription(ctx.database, gateway),
            Subscription(
                name=DELIVERIES,
                stream=SALES.name,
                events=DELIVERY_EVENTS,
                handle=handlers.deliveries,
                source_service=SALES.service,
                on_rewind=rebuild_deliveries,
            ),
            Subscription(
                name=WORKSHOP,
                stream=AFTERSALES.name,
                events=WORKSHOP_EVENTS,
                handle=handlers.workshop,
                source_service=AFTERSALES.service,
                on_rewind=rebuild_first_services,
                gather_seconds=0.2,
            ),
            Subscription(
                name=CONTACTS,
                stream=SALES.name,
                events=CONTACT_EVENTS,
                handle=ContactHandlers(contacts).contacts,
                source_service=SALES.service,
                on_rewind=rebuild_contacts,
                gather_seconds=0.5,
            ),
        ],
        timers={WINDOW: WindowTimers(store_cache).fire, CLOCK: ClockTimers(store_cache, policy).fire},
        grants=GRANTS,
    )


def _thresholds(settings: Settings) -> Thresholds:
    return Thresholds(
        indicator=settings.low_indicator_mark,
        overall=settings.low_overall_mark,
        recommendation=settings.low_recommendation_mark,
        several=settings.several_low_marks,
    )


def _policy(settings: Settings) -> Policy:
    """The figures of complaints as the group has set them."""
    return Policy(
        whole_loop=settings.complaint_whole_loop,
        contact=timedelta(minutes=settings.complaint_contact_minutes),
        answer=timedelta(minutes=settings.complaint_return_minutes),
        close=timedelta(minutes=settings.complaint_close_minutes),
        late_call_back=timedelta(minutes=settings.complaint_call_back_minutes),
        progress=timedelta(hours=settings.complaint_progress_hours),
        times={
            ClockKind.CONTACT: TimeKind.CALLING,
            ClockKind.CALL_BACK: TimeKind.CALLING,
            **{ClockKind(one): TimeKind.OPENING for one in settings.complaint_opening_hours},
        },
        warn_percent=settings.complaint_warn_percent,
        chain=settings.complaint_chain,
        repeat=timedelta(days=settings.complaint_repeat_days),
        longest_extension=timedelta(days=settings.complaint_extension_days),
    )
