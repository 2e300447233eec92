"""The composition root of sales."""

from __future__ import annotations

from dealerloop.sales.v1 import customers_pb2, deliveries_pb2
from dealership import stores
from dealership.roles import GRANTS
from kit.rpc.server import RpcService
from kit.service import KitContext, Service
from sales.customers.rpc import CustomerEdge
from sales.deliveries.rpc import DeliveryEdge
from sales.streams import SALES


def build(ctx: KitContext) -> Service:
    """Put sales together."""
    gateway = ctx.peer("gateway")
    deliveries = DeliveryEdge(ctx.vault, gateway)
    return Service(
        name="sales",
        settings=ctx.settings,
        rpcs=[
            RpcService(customers_pb2.DESCRIPTOR.services_by_name["CustomerService"], CustomerEdge(ctx.vault)),
            RpcService(deliveries_pb2.DESCRIPTOR.services_by_name["DeliveryService"], deliveries),
        ],
        streams=[SALES],
        subscriptions=[stores.subscription(ctx.database, gateway)],
        grants=GRANTS,
    )
