"""`python -m <service> rpc|worker|all|migrate|…`: reads the settings, runs, ends with a code and a word."""

import argparse
import asyncio
import gc
import signal
import sys
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, NoReturn

import uvloop

from kit import log as logs
from kit import telemetry
from kit.clock import ClockFileError
from kit.db.engine import raw_connection
from kit.db.schema import SchemaBehindError
from kit.db.scope import Scope
from kit.db.simulation import WrongClockError
from kit.keys import KeyFileError
from kit.rpc.access import ContractError
from kit.rpc.server import PortTaken
from kit.service import republishing
from kit.service.context import KitContext
from kit.service.definition import Command, Service
from kit.service.running import Parts, Running
from kit.settings import PREFIX, ConfigurationError, KitSettings, load
from kit.vault import VaultError

Build = Callable[[KitContext], Service]

_CANNOT_START = (
    *(ConfigurationError, KeyFileError, VaultError, ContractError, PortTaken),
    *(SchemaBehindError, ClockFileError, WrongClockError),
)
_FOR_PEOPLE = ("dlq", "republish")
_EXIT_FAILED = 1
_EXIT_CANNOT_START = 2


def main(
    name: str,
    build: Build,
    settings_type: type[KitSettings],
    *,
    argv: Sequence[str] | None = None,
    migrations: str = "",
    commands: Sequence[Command] = (),
) -> NoReturn:
    """Run one service as its command line says; ends the process.

    `migrations` names the package with the migrations when it is not `name`, `commands` are the service's own.
    Exit codes: 0 stopped on request, 1 a part of it failed, 2 it cannot start as it is configured.
    """
    arguments = _parser(name, commands).parse_args(argv)
    own = {command.name: command for command in commands}
    try:
        settings = load(settings_type)
        # A person reads what these print: only what went wrong may stand between the lines.
        logs.configure(name, "error" if arguments.mode in (*_FOR_PEOPLE, *own) else settings.log_level)
        if arguments.mode == "migrate":
            _migrate(migrations or name, settings)
            sys.exit(0)
        telemetry.configure(name, settings)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            if arguments.mode == "dlq":
                sys.exit(runner.run(_dead_letters(name, build, settings, arguments)))
            if arguments.mode == "epoch":
                runner.run(_new_epoch(name, settings, arguments.reason))
                sys.exit(0)
            if arguments.mode == "republish":
                sys.exit(runner.run(_republish(name, settings, arguments)))
            if arguments.mode in own:
                sys.exit(runner.run(_own(name, settings, own[arguments.mode], arguments)))
            runner.run(_serve(name, build, settings, Parts[arguments.mode.upper()]))
    except _CANNOT_START as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(_EXIT_CANNOT_START)
    except Exception:
        logs.log.exception("service.failed")
        sys.exit(_EXIT_FAILED)
    sys.exit(0)


def _parser(name: str, commands: Sequence[Command]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {name}")
    modes = parser.add_subparsers(dest="mode", required=True)
    modes.add_parser("rpc", help="answer calls")
    modes.add_parser("worker", help="publish, consume and keep timers")
    modes.add_parser("all", help="both in one process")
    modes.add_parser("migrate", help="bring the database up to date, then end")
    for command in commands:
        command.add_arguments(modes.add_parser(command.name, help=command.meaning))
    epoch = modes.add_parser("epoch", help="after a restore: tell every reader to take this service's data anew")
    epoch.add_argument("reason", help="what was restored, kept with the new epoch")
    republishing.add_arguments(
        modes.add_parser("republish", help="tell published events again, for a reader that lost them")
    )
    dlq = modes.add_parser("dlq", help="dead letters: what could not be handled").add_subparsers(
        dest="action", required=True
    )
    dlq.add_parser("list", help="the dead letters of this service, oldest first")
    for action, meaning in (
        ("show", "everything about one of them except its content"),
        ("retry", "handle it again, and remove it when that works"),
        ("drop", "remove it for good"),
    ):
        dlq.add_parser(action, help=meaning).add_argument("number", type=int)
    return parser


def _migrate(package: str, settings: KitSettings) -> None:
    if settings.migration_database_url is None:
        raise ConfigurationError(f"{PREFIX}MIGRATION_DATABASE_URL is not set (the database under the owner's role)")
    # Alembic is loaded only here.
    from kit.db.migrate import upgrade

    upgrade(settings.migration_database_url, package=package, clock_file=settings.clock_file)


async def _serve(name: str, build: Build, settings: KitSettings, parts: Parts) -> None:
    context = await KitContext.open(settings, name)
    try:
        running = Running(build(context), context, parts)
        stop = _stop_signal()
        await _unless(stop, running.start())
        if not stop.is_set():
            # What is here now lives as long as the process: the collector need not look at it again.
            gc.collect()
            gc.freeze()
            await _unless(stop, running.wait())
        logs.log.info("service.stopping")
        await running.stop()
        logs.log.info("service.stopped")
    finally:
        await context.close()
        telemetry.shutdown()


def _stop_signal() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


async def _unless(stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Do the work until it ends or the signal comes; raise its error."""
    task = asyncio.ensure_future(work)
    waiting = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
    if task.done():
        task.result()
        return
    task.cancel()
    await asyncio.wait([task])


async def _new_epoch(name: str, settings: KitSettings, reason: str) -> None:
    """Begin a new epoch by hand: a database and a broker that were restored together show no difference."""
    from kit.messaging.healing import start_epoch

    context = await KitContext.open(settings, name)
    try:
        async with context.database.transaction(Scope.system("new epoch")) as session:
            epoch = await start_epoch(await raw_connection(session), reason, context.clock.now())
        sys.stdout.write(f"Epoch {epoch} of {name} has begun; its readers rebuild when its next event arrives.\n")
    finally:
        await context.close()


async def _dead_letters(name: str, build: Build, settings: KitSettings, arguments: argparse.Namespace) -> int:
    # Only here: a running service needs none of it.
    from kit.service.dead_letters import run

    context = await KitContext.open(settings, name)
    try:
        return await run(build(context), context, arguments.action, getattr(arguments, "number", 0))
    finally:
        await context.close()


async def _own(name: str, settings: KitSettings, command: Command, arguments: argparse.Namespace) -> int:
    context = await KitContext.open(settings, name)
    try:
        return await command.run(context, arguments)
    finally:
        await context.close()


async def _republish(name: str, settings: KitSettings, arguments: argparse.Namespace) -> int:
    context = await KitContext.open(settings, name)
    try:
        return await republishing.run(context, arguments.event, arguments.since, dry_run=arguments.dry_run)
    finally:
        await context.close()
