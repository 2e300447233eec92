"""`./dev simulate`: a dealer group lives through months while one waits a few minutes."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import httpx

from kit.local.process import free_port, is_free
from tools import plan, running, starting
from tools.demo.client import Refused
from tools.life import group as groups
from tools.life.work import GROUP_ZONE
from tools.machine import PLACES, Places, is_running
from tools.simulation.quiet import StillBusyError
from tools.simulation.run import Outcome, Script
from tools.simulation.stack import people_password, start_and_live
from tools.terminal import Trouble, note, say, table

HELP = """Starts the whole system on a clock of its own and lets an invented dealer group live through months:
deliveries one by one and as lists, daily hand-overs, calls, surveys, complaints, workshop visits, closed months. It
uses the public API alone, with the tokens of the people whose work it is. The same seed tells the same story.

It has its own folder (.dealerloop/simulation) and port; what ./dev up runs is not touched. Each run begins anew.
Three stores and two months take about four minutes on two cores, less when they have nothing else to do.

  DEALERLOOP_SIMULATION_PORT  where its gateway listens (8090, or any free port when that is taken)"""
_PORT_VARIABLE = "DEALERLOOP_SIMULATION_PORT"
_PORT = 8090
_DAYS_A_MONTH = 30.5
LONGEST_MONTHS = 36


@dataclass(frozen=True)
class Wish:
    """What the person asked for; `end` is the last day, today when not given."""

    stores: int = 3
    months: int = 2
    seed: int = 1
    end: date | None = None
    keep: bool = False


def simulate(wish: Wish, places: Places = PLACES.simulation) -> int:
    """Lives the months, shows what happened, and stops everything unless it is to be kept."""
    script = script_of(wish, datetime.now(UTC))
    _begin_anew(places)
    wishes = wishes_of(os.environ)
    starting.check_machine(wishes, places, "simulate")
    try:
        outcome = start_and_live(script, wishes, places)
        _tell(script, outcome, wishes, places, keep=wish.keep)
    except (Refused, StillBusyError, TimeoutError, httpx.HTTPError) as error:
        running.stop(places)
        raise Trouble(f"The simulation broke off: {error}\nIts logs are in {places.logs}.") from None
    except BaseException:
        running.stop(places)
        raise
    if not wish.keep:
        down(places)
    return 0


def down(places: Places = PLACES.simulation) -> int:
    """Stops a simulation that was kept, and removes its data."""
    ran = running.stop(places)
    existed = places.state.exists()
    shutil.rmtree(places.state, ignore_errors=True)
    note("Stopped; its data are removed." if ran else "Removed what was left." if existed else "Nothing was running.")
    return 0


def script_of(wish: Wish, now: datetime) -> Script:
    """What is to be lived.

    Raises:
        Trouble: a number that cannot be.
    """
    if not 1 <= wish.stores <= groups.LARGEST:
        raise Trouble(f"--stores must be from 1 to {groups.LARGEST}.")
    if not 1 <= wish.months <= LONGEST_MONTHS:
        raise Trouble(f"--months must be from 1 to {LONGEST_MONTHS}.")
    today = now.astimezone(GROUP_ZONE).date()
    last = wish.end or today
    until_now = last == today
    end = now if until_now else datetime.combine(last, time(23, 0), GROUP_ZONE).astimezone(UTC)
    first = last - timedelta(days=round(wish.months * _DAYS_A_MONTH))
    return Script(groups.plan(wish.seed, wish.stores), first, end, until_now)


def _begin_anew(places: Places) -> None:
    if is_running(places):
        raise Trouble("A simulation is running; stop it first: ./dev simulate --down")
    for name in running.end_orphans(places):
        note(f"{name} was left by a supervisor that had been killed; it has been stopped.")
    shutil.rmtree(places.state, ignore_errors=True)


def wishes_of(environment: Mapping[str, str]) -> plan.Wishes:
    """Servers of its own in any case, and a port of its own: the one that is said, or one that is free.

    Raises:
        Trouble: DEALERLOOP_SIMULATION_PORT is no port.
    """
    try:
        asked = plan.Wishes.of(environment, port_variable=_PORT_VARIABLE, port=_PORT)
    except ValueError as error:
        raise Trouble(str(error)) from None
    port = asked.http_port if _PORT_VARIABLE in environment or is_free(_PORT) else free_port()
    return dataclasses.replace(asked, http_port=port, database_url="", nats_url="")


def _tell(script: Script, outcome: Outcome, wishes: plan.Wishes, places: Places, *, keep: bool) -> None:
    begin, end = script.first_day, script.end.astimezone(GROUP_ZONE)
    names = ", ".join(store.name for store in script.group.stores)
    calls = sum(outcome.calls.values())
    say(f"\n{names}: {begin} to {end:%Y-%m-%d %H:%M} in {outcome.seconds:.0f} s, {calls} calls of the API.\n")
    say(table(("WHAT", "HOW OFTEN"), [(what, str(count)) for what, count in sorted(outcome.counts.items())]))
    say()
    for sentence in outcome.remarkable:
        say(f"· {sentence}")
    if not keep:
        return
    say(f"\nIt goes on running at {wishes.url} (documentation: {wishes.url}/docs).")
    if script.until_now:
        say("Its clock follows real time now.")
    else:
        say(f"Its clock stands at {end:%Y-%m-%d %H:%M}, and so does everything that waits.")
    say(people(script.group, people_password(places), "the group"))
    say("Stop it with ./dev simulate --down")


def people(group: groups.GroupPlan, password: str, called: str) -> str:
    """A few of the people of the group, which is `called` so, and what is worth looking at with their eyes."""
    store = group.stores[0]
    shown = [store.staff[job] for job in ("gm", "care-manager", "specialist")]
    shown = [*shown, store.consultants[0], group.quality_manager]
    rows = [(one.account, one.name, one.role.removeprefix("ROLE_").lower().replace("_", " ")) for one in shown]
    lines = [
        f"\nSign in as one of {called}'s people, password {password}\n",
        table(("ACCOUNT", "NAME", "WORK"), rows),
        "",
    ]
    lines += [
        f"Look at    GET /v1/{store.resource}/followUps?state=STATE_PLANNED",
        f"           GET /v1/{store.resource}/complaints",
        f"           GET /v1/{store.resource}/dailyHandovers",
        f"           GET /v1/{store.resource}/grades/YYYY-MM",
        "           GET /v1/months/YYYY-MM",
    ]
    return "\n".join(lines)
