"""A service as its composition root describes it; nothing here runs."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from kit.messaging.streams import StreamSpec
from kit.messaging.subscription import Subscription
from kit.rpc.edge import RpcService
from kit.rpc.principal import Grants
from kit.service.context import KitContext
from kit.settings import KitSettings
from kit.timers import TimerHandler

# An ASGI application has no better type of its own.
ASGIApp = Callable[..., Awaitable[None]]


@dataclass(frozen=True)
class Service:
    """What one service serves, reads, publishes and keeps in mind.

    The relay publishes to the stream of `streams` whose `service` is `name`; streams that it reads are known from
    the subscriptions and need not be listed. `on_start` runs before anything is served. `web` makes an ASGI
    application, served at `settings.http_listen`. `migrations` names the package with the migrations when it is not
    `name`.
    """

    name: str
    settings: KitSettings
    rpcs: Sequence[RpcService] = ()
    streams: Sequence[StreamSpec] = ()
    subscriptions: Sequence[Subscription] = ()
    timers: Mapping[str, TimerHandler] = field(default_factory=dict)
    grants: Grants = field(default_factory=dict)
    on_start: Sequence[Callable[[KitContext], Awaitable[None]]] = ()
    web: Callable[[KitContext], ASGIApp] | None = None
    migrations: str = ""
