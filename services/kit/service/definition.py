"""A service as its composition root describes it; nothing here runs."""

from argparse import ArgumentParser, Namespace
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from kit.messaging.streams import StreamSpec
from kit.messaging.subscription import Subscription
from kit.rpc.edge import RpcService
from kit.rpc.principal import Grants
from kit.service.context import KitContext
from kit.settings import KitSettings
from kit.timers import TimerHandler

# An ASGI application has no better type of its own.
ASGIApp = Callable[..., Awaitable[None]]


class BackgroundJob(Protocol):
    """Work of the worker half that goes on by itself, such as taking over the rows of a file."""

    @property
    def name(self) -> str:
        """What it is called in the logs."""
        ...

    async def run(self) -> None:
        """Work until it is stopped, whatever the database goes through."""
        ...

    def stop(self) -> None:
        """End `run` at the next point at which nothing is lost."""
        ...

    async def work_once(self) -> int:
        """Do what is there to do now; return how much it was."""
        ...


def _no_arguments(_parser: ArgumentParser) -> None:
    """Leave the command as it is."""


@dataclass(frozen=True)
class Command:
    """A command of one service alone: `python -m <service> <name>`, for people at a terminal.

    `run` returns the exit code; 2 and above it has from argparse and the kit: arguments or settings that cannot be.
    """

    name: str
    meaning: str
    run: Callable[[KitContext, Namespace], Awaitable[int]]
    add_arguments: Callable[[ArgumentParser], None] = _no_arguments


@dataclass(frozen=True)
class Service:
    """What one service serves, reads, publishes and keeps in mind.

    The relay publishes to the stream of `streams` whose `service` is `name`; streams that it reads are known from
    the subscriptions and need not be listed. `jobs` run in the worker half, beside the timers. `on_start` runs before
    anything is served. `web` makes an ASGI application, served at `settings.http_listen`. `migrations` names the
    package with the migrations when it is not `name`.
    """

    name: str
    settings: KitSettings
    rpcs: Sequence[RpcService] = ()
    streams: Sequence[StreamSpec] = ()
    subscriptions: Sequence[Subscription] = ()
    timers: Mapping[str, TimerHandler] = field(default_factory=dict)
    jobs: Sequence[BackgroundJob] = ()
    grants: Grants = field(default_factory=dict)
    on_start: Sequence[Callable[[KitContext], Awaitable[None]]] = ()
    web: Callable[[KitContext], ASGIApp] | None = None
    migrations: str = ""
