"""The composition root of sales."""

from __future__ import annotations

from dealerloop.sales.v1 import corrections_pb2, customers_pb2, deliveries_pb2, handovers_pb2, imports_pb2
from dealership import staff
from dealership.roles import GRANTS
from kit.imports.rpc import ImportEdge
from kit.imports.runner import ImportRunner
from kit.messaging.subscription import Subscription
from kit.rpc.server import RpcService
from kit.service import KitContext, Service
from sales.corrections import handlers as corrections
from sales.corrections.rpc import DataCorrectionEdge
from sales.customers.rpc import CustomerEdge
from sales.deliveries.rpc import DeliveryEdge
from sales.handovers.handlers import stores_subscription, watch_known_stores
from sales.handovers.rpc import DailyHandoverEdge
from sales.handovers.service import DailyHandovers
from sales.handovers.watch import HANDOVER, CutOffs
from sales.imports.customers import CustomerImporter
from sales.imports.deliveries import DeliveryImporter
from sales.settings import Settings
from sales.streams import CARE, SALES

CORRECTIONS = "corrections"


def build(ctx: KitContext) -> Service:
    """Put sales together."""
    settings = ctx.settings
    assert isinstance(settings, Settings)
    gateway = ctx.peer("gateway")
    handovers = DailyHandovers(ctx.vault, settings.handover_cut_off)
    cut_offs = CutOffs(gateway, settings.handover_cut_off)
    deliveries = DeliveryEdge(ctx.vault, gateway)
    delivery_lists, customer_lists = DeliveryImporter(ctx.vault, gateway), CustomerImporter(ctx.vault, gateway)
    delivery_imports, customer_imports = ImportEdge(delivery_lists, ctx.vault), ImportEdge(customer_lists, ctx.vault)
    list_services = imports_pb2.DESCRIPTOR.services_by_name
    return Service(
        name="sales",
        settings=settings,
        rpcs=[
            RpcService(customers_pb2.DESCRIPTOR.services_by_name["CustomerService"], CustomerEdge(ctx.vault)),
            RpcService(deliveries_pb2.DESCRIPTOR.services_by_name["DeliveryService"], deliveries),
            RpcService(
                corrections_pb2.DESCRIPTOR.services_by_name["DataCorrectionService"], DataCorrectionEdge(ctx.vault)
            ),
            RpcService(
                handovers_pb2.DESCRIPTOR.services_by_name["DailyHandoverService"], DailyHandoverEdge(handovers, gateway)
            ),
            RpcService(list_services["DeliveryImportService"], delivery_imports),
            RpcService(list_services["GroupDeliveryImportService"], delivery_imports),
            RpcService(list_services["CustomerImportService"], customer_imports),
            RpcService(list_services["GroupCustomerImportService"], customer_imports),
        ],
        streams=[SALES],
        subscriptions=[
            stores_subscription(ctx.database, gateway, cut_offs, ctx.clock),
            staff.subscription(ctx.database, gateway),
            # Nothing to reconcile when customer care was restored from a backup: what it asked for is work to be done
            # here, which its memory does not undo, and requests are told apart by their time, not by a version.
            Subscription(
                name=CORRECTIONS,
                stream=CARE.name,
                events=corrections.CORRECTION_EVENTS,
                handle=corrections.handle,
                source_service=CARE.service,
            ),
        ],
        timers={HANDOVER: cut_offs.fire},
        jobs=[ImportRunner(ctx, [delivery_lists, customer_lists])],
        on_start=[lambda started: watch_known_stores(started, cut_offs)],
        grants=GRANTS,
    )
