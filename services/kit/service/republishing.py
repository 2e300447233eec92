"""`republish EVENT… --since TIME` on the command line: published events are told once more."""

import sys
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib import import_module
from importlib.util import find_spec
from typing import Final

from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from dealerloop.audit.v1 import audit_pb2
from kit.db.scope import Scope
from kit.messaging import outbox
from kit.messaging.event import is_event
from kit.service.context import KitContext

UNKNOWN_EVENT: Final = 2
"""The exit code when a name belongs to none of the service's events."""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("event", nargs="+", help="name of an event, such as DeliveryRecorded")
    parser.add_argument(
        "--since", type=instant, required=True, metavar="TIME", help="those of this day or time and later (ISO 8601)"
    )
    parser.add_argument("--dry-run", action="store_true", help="only say how many there are")


def instant(text: str) -> datetime:
    """Return a day, which begins at midnight UTC, or a time, which is UTC unless it says otherwise (ISO 8601).

    Raises ArgumentTypeError.
    """
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is neither a day (2026-03-02) nor a time (2026-03-02T08:00+08:00)") from None
    return given if given.tzinfo is not None else given.replace(tzinfo=UTC)


async def run(context: KitContext, names: Sequence[str], since: datetime, *, dry_run: bool = False) -> int:
    """Tell the events of these short or full names again; return the exit code."""
    known = list(events_of(context.name))
    by_name = {name: event for event in known for name in (event.DESCRIPTOR.name, event.DESCRIPTOR.full_name)}
    unknown = [name for name in names if name not in by_name]
    if unknown:
        sys.stderr.write(f"{context.name} tells no {', '.join(unknown)}. It tells:\n")
        sys.stderr.writelines(f"  {event.DESCRIPTOR.full_name}\n" for event in known)
        return UNKNOWN_EVENT
    # Named twice, by both names: still once.
    wanted = list(dict.fromkeys(by_name[name] for name in names))
    async with context.database.transaction(Scope.system("republish"), read_only=dry_run) as session:
        tell = outbox.count_published if dry_run else outbox.republish
        count = await tell(session, wanted, since=since)
    outcome = "would be told again" if dry_run else "are told again, by the running service"
    sys.stdout.write(f"{count} events since {since.isoformat()} {outcome}.\n")
    return 0


def events_of(service: str) -> Iterator[type[Message]]:
    """Yield what the service tells: its own events, then those that every service tells under its own name."""
    own = f"dealerloop.{service}.events.v1.events_pb2"
    modules = [audit_pb2]
    # A service may have no event of its own.
    if _exists(own):
        modules.insert(0, import_module(own))
    for module in modules:
        for descriptor in module.DESCRIPTOR.message_types_by_name.values():
            event = GetMessageClass(descriptor)
            if is_event(event):
                yield event


def _exists(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False
