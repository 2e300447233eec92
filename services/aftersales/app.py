"""The composition root of after-sales."""

from __future__ import annotations

from aftersales.imports.importer import VisitImporter
from aftersales.streams import AFTERSALES
from aftersales.vehicles import handlers as vehicles
from aftersales.vehicles.rpc import VehicleEdge
from aftersales.visits.rpc import WorkshopVisitEdge
from dealerloop.aftersales.v1 import imports_pb2, vehicles_pb2
from dealership import stores
from dealership.roles import GRANTS
from kit.imports.rpc import ImportEdge
from kit.imports.runner import ImportRunner
from kit.rpc.server import RpcService
from kit.service import KitContext, Service


def build(ctx: KitContext) -> Service:
    """Put after-sales together."""
    gateway = ctx.peer("gateway")
    contract = vehicles_pb2.DESCRIPTOR.services_by_name
    visits = VisitImporter(gateway)

    async def reconcile(_source: str, _old: int, _new: int) -> None:
        await vehicles.reconcile(ctx.database, ctx.peer("sales"), ctx.clock)

    return Service(
        name="aftersales",
        settings=ctx.settings,
        rpcs=[
            RpcService(contract["VehicleService"], VehicleEdge(gateway)),
            RpcService(contract["WorkshopVisitService"], WorkshopVisitEdge(gateway)),
            RpcService(imports_pb2.DESCRIPTOR.services_by_name["VisitImportService"], ImportEdge(visits, ctx.vault)),
        ],
        streams=[AFTERSALES],
        subscriptions=[stores.subscription(ctx.database, gateway), vehicles.subscription(reconcile)],
        jobs=[ImportRunner(ctx, [visits])],
        grants=GRANTS,
    )
