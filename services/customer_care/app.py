"""The composition root of customer care."""

from __future__ import annotations

from customer_care.cadences.rpc import CadenceEdge
from customer_care.cadences.service import CadenceCatalogue
from customer_care.care_plans.handlers import DELIVERY_EVENTS, WORKSHOP_EVENTS, CarePlanHandlers
from customer_care.care_plans.rebuild import Rebuild
from customer_care.care_plans.service import CarePlans
from customer_care.care_plans.windows import WINDOW, WindowTimers
from customer_care.clients import Aftersales, Sales
from customer_care.contacts.handlers import CONTACT_EVENTS, ContactHandlers
from customer_care.contacts.service import ContactBook, ContactProjection
from customer_care.followups.rpc import FollowUpEdge
from customer_care.followups.service import FollowUps
from customer_care.settings import Settings
from customer_care.stores import StoreCache
from customer_care.streams import AFTERSALES, CARE, SALES
from customer_care.surveys.catalogue import QuestionnaireCatalogue
from customer_care.surveys.links import SurveyLinks
from customer_care.surveys.projection import ResponseProjectionEdge
from customer_care.surveys.rpc import SurveyEdge
from customer_care.surveys.service import Surveys
from dealerloop.customer_care.events.v1 import projections_pb2
from dealerloop.customer_care.v1 import cadences_pb2, follow_ups_pb2, surveys_pb2
from dealership import stores
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
    follow_ups = FollowUps(cadences, ContactBook(ctx.vault, contacts), store_cache, ctx.vault)
    surveys = Surveys(questionnaires, follow_ups, store_cache, links, ctx.vault)
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
            RpcService(
                projections_pb2.DESCRIPTOR.services_by_name["ResponseProjectionService"],
                ResponseProjectionEdge(questionnaires),
            ),
        ],
        streams=[CARE],
        subscriptions=[
            stores.subscription(ctx.database, gateway),
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
        timers={WINDOW: WindowTimers(store_cache).fire},
        grants=GRANTS,
    )
