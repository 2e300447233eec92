"""The whole system on a shared clock, in a folder of its own or in that of `./dev up`."""

from __future__ import annotations

import dataclasses
import secrets

from kit.clock import SharedClock
from kit.keys import create_key_directory
from tools import plan, starting
from tools.machine import SERVICES, Places, write_private
from tools.simulation.quiet import Queues
from tools.simulation.run import Access, Outcome, Script, live
from tools.terminal import Trouble, working


def start_and_live(script: Script, wishes: plan.Wishes, places: Places) -> Outcome:
    """Starts everything on a clock at the script's beginning and lives it; everything still runs afterwards.

    Raises:
        Trouble: something does not start, or an invented person met what should not happen.
    """
    places.prepare()
    create_key_directory(places.keys, SERVICES)
    wishes = dataclasses.replace(wishes, admin_password=starting.admin_password(wishes, places))
    clock = SharedClock.create(places.clock, script.start)
    made = plan.make(wishes, places, simulated=True)
    made.write(places.plan)
    starting.start(places)
    access = Access(made.http, wishes.admin_password, people_password(places))
    total = len(script.hours())
    with working("Living the days of the group", total) as work, Queues(made) as queues:
        outcome = live(script, access, clock, queues, work)
        work.now(f"{len(script.group.stores)} stores lived their days")
    if outcome.dead_letters:
        raise Trouble(f"{outcome.dead_letters} events could not be handled; see the logs in {places.logs}.")
    return outcome


def people_password(places: Places) -> str:
    """The one password of all invented people of this folder, made when first asked for."""
    if not places.people_password.exists():
        write_private(places.people_password, secrets.token_urlsafe(9))
    return places.people_password.read_text()
