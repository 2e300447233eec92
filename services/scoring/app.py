"""The composition root of scoring."""

from __future__ import annotations

from dealerloop.scoring.v1 import grades_pb2, models_pb2, months_pb2
from dealership import stores
from dealership.roles import GRANTS
from kit.rpc.server import RpcService
from kit.service import KitContext, Service
from scoring.exclusions.rpc import ResponseEdge
from scoring.exclusions.service import Excluding
from scoring.frame import handlers as frame
from scoring.grades import handlers as grades
from scoring.grades.rpc import GradeEdge
from scoring.grades.service import Counting
from scoring.grades.showing import Showing
from scoring.models.rpc import SatisfactionModelEdge
from scoring.models.service import ModelCatalogue
from scoring.months.rpc import MonthEdge
from scoring.months.service import Closing
from scoring.settings import Settings
from scoring.streams import SCORING


def build(ctx: KitContext) -> Service:
    """Puts scoring together."""
    settings = ctx.settings
    assert isinstance(settings, Settings)
    catalogue = ModelCatalogue()
    gateway = ctx.peer("gateway")
    counting = Counting(catalogue, gateway)
    showing = Showing(catalogue, gateway, settings)

    async def rebuild_frame(_source: str, _old: int, _new: int) -> None:
        await frame.rebuild(ctx.database, ctx.peer("sales"))

    async def rebuild_grades(_source: str, _old: int, _new: int) -> None:
        await grades.rebuild(ctx.database, ctx.peer("customer_care"), counting, ctx.clock.now())

    return Service(
        name="scoring",
        settings=settings,
        rpcs=[
            RpcService(grades_pb2.DESCRIPTOR.services_by_name["GradeService"], GradeEdge(showing)),
            RpcService(
                months_pb2.DESCRIPTOR.services_by_name["MonthService"],
                MonthEdge(Closing(catalogue), catalogue, showing),
            ),
            RpcService(months_pb2.DESCRIPTOR.services_by_name["ResponseService"], ResponseEdge(Excluding(catalogue))),
            RpcService(
                models_pb2.DESCRIPTOR.services_by_name["SatisfactionModelService"], SatisfactionModelEdge(catalogue)
            ),
        ],
        streams=[SCORING],
        subscriptions=[
            stores.subscription(ctx.database, gateway),
            frame.subscription(rebuild_frame),
            grades.subscription(counting, rebuild_grades),
        ],
        grants=GRANTS,
    )
