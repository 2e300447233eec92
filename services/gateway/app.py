"""The composition root of the gateway."""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from dealerloop.gateway.v1 import audit_pb2, organisation_pb2
from dealership.roles import GRANTS
from gateway.audit import handlers as audit
from gateway.audit.rpc import AuditEdge
from gateway.identity.accounts import Accounts
from gateway.identity.rules import LockPolicy
from gateway.organisation.rpc import OrganisationEdge
from gateway.settings import Settings
from gateway.streams import DIRECTORY
from kit.db.scope import Scope
from kit.rpc.server import RpcService
from kit.service import KitContext, Service
from kit.service.definition import ASGIApp


def build(ctx: KitContext) -> Service:
    """Put the gateway together."""
    settings = ctx.settings
    assert isinstance(settings, Settings)
    accounts = Accounts(
        ctx.database,
        ctx.signer,
        ctx.vault,
        ctx.clock,
        policy=LockPolicy(settings.sign_in_failures, settings.sign_in_lock),
        token_life=settings.token_life,
    )

    async def ensure_administrator(_: KitContext) -> None:
        password = settings.admin_password
        await accounts.ensure_first(password.get_secret_value() if password is not None else None)

    def web(context: KitContext) -> ASGIApp:
        # Imported only where pages are served: a worker or a migration has no use for a web framework.
        from gateway.identity.routes import router
        from gateway.imports import routes as imports
        from gateway.web import create_app

        routers = [router(accounts), imports.router(context, settings)]
        return create_app(context, routers, larger=imports.larger(settings), ready=lambda: _parts(context))

    return Service(
        name="gateway",
        settings=settings,
        rpcs=[
            RpcService(organisation_pb2.DESCRIPTOR.services_by_name["OrganisationService"], OrganisationEdge(accounts)),
            RpcService(audit_pb2.DESCRIPTOR.services_by_name["AuditService"], AuditEdge()),
        ],
        streams=[DIRECTORY],
        subscriptions=audit.subscriptions(),
        grants=GRANTS,
        on_start=[ensure_administrator],
        web=web,
    )


async def _parts(ctx: KitContext) -> Mapping[str, bool]:
    """What must work before traffic comes: the own database; a neighbour that is away concerns its own methods only."""
    try:
        async with ctx.database.transaction(Scope.system("readiness"), read_only=True) as session:
            await session.execute(sa.text("select 1"))
    except (SQLAlchemyError, OSError, TimeoutError):
        return {"database": False}
    return {"database": True}
