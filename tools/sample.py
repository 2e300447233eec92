"""The sample group of a first start: two stores that have lived for some weeks, so that there is something to see.

It is loaded once, into a fresh state folder, by the same people as in `./dev simulate`, on a clock that begins weeks
ago and has reached the present at the end. What broke off half-way is never used.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import Enum

import httpx

from tools import plan, running
from tools.demo.client import Refused
from tools.life import group as groups
from tools.machine import Places, write_private
from tools.simulation.command import people
from tools.simulation.quiet import StillBusyError
from tools.simulation.run import Outcome, Script, group_first_day
from tools.simulation.stack import people_password, start_and_live
from tools.terminal import Trouble, confirm, note

VARIABLE = "DEALERLOOP_SAMPLE"
_SEED = 1
_STORES = 2
_CONSULTANTS = 2
_DELIVERIES_A_DAY = 0.8
# Long enough for a month to have ended in it, whatever day it is.
_DAYS = 36


class State(Enum):
    """What the state folder says about the sample."""

    UNKNOWN = ""
    LOADING = "loading"
    LOADED = "loaded"
    NONE = "none"


def state(places: Places) -> State:
    """Whether the sample is there."""
    try:
        return State(places.sample.read_text().strip())
    except FileNotFoundError:
        return State.UNKNOWN


def is_wanted(wishes: plan.Wishes, places: Places, environment: Mapping[str, str], *, empty: bool) -> bool:
    """Whether this start is to load it: the first one, on servers of its own, and nobody said no.

    Raises:
        Trouble: DEALERLOOP_SAMPLE is neither yes nor no.
    """
    said = environment.get(VARIABLE, "yes")
    if said not in {"yes", "no"}:
        raise Trouble(f"{VARIABLE} must be yes or no, not {said!r}")
    fresh = state(places) is State.UNKNOWN and not places.plan.exists()
    return fresh and said == "yes" and not empty and not wishes.database_url and not wishes.nats_url


def load(wishes: plan.Wishes, places: Places) -> Outcome:
    """Starts everything, loads the sample, and stops everything again.

    Raises:
        Trouble: it could not be loaded; everything has been stopped, and nothing of it is used.
    """
    with _marked(places):
        try:
            outcome = start_and_live(script(datetime.now(UTC)), wishes, places)
        except (Refused, StillBusyError, TimeoutError, httpx.HTTPError) as error:
            raise Trouble(f"The sample group could not be loaded: {error}\n{_way_out(places)}") from None
        finally:
            running.stop(places)
        places.clock.unlink()
    return outcome


def script(now: datetime) -> Script:
    """The weeks up to now."""
    group = groups.plan(_SEED, _STORES, consultants=_CONSULTANTS, deliveries_a_day=_DELIVERIES_A_DAY)
    return Script(group, group_first_day(now, _DAYS), now, until_now=True)


def refuse_half(places: Places) -> None:
    """Offers to begin anew where a loading broke off.

    Raises:
        Trouble: it is being loaded at this moment, or nobody said that the half may go.
    """
    if state(places) is not State.LOADING:
        return
    if _is_being_loaded(places):
        raise Trouble("Another ./dev up is loading the sample group; wait until it is done.")
    half = "The sample group was not loaded to its end last time."
    if not confirm(f"{half} Remove it with all local data in {places.state}, and begin anew?"):
        raise Trouble(f"{half}\n{_way_out(places)}")
    running.stop(places)
    shutil.rmtree(places.state)


def words(places: Places) -> str:
    """How to sign in as its people; empty without a sample."""
    if state(places) is not State.LOADED:
        return ""
    return people(script(datetime.now(UTC)).group, people_password(places), "the sample group")


def skip(places: Places) -> None:
    """This state folder begins without a sample."""
    if state(places) is State.UNKNOWN:
        write_private(places.sample, State.NONE.value)


def _way_out(places: Places) -> str:
    return (
        f"Nothing of it is used. Its logs are in {places.logs}. To begin anew: ./dev reset --yes, then ./dev up, or "
        f"without the sample {VARIABLE}=no ./dev up"
    )


@contextmanager
def _marked(places: Places) -> Iterator[None]:
    """Says that it is being loaded, and then that it is there; a lock tells a loading from one that broke off."""
    places.prepare()
    write_private(places.sample, State.LOADING.value)
    lock = os.open(places.sample, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield
        except KeyboardInterrupt:
            note(f"\nThe sample group was not loaded to its end. {_way_out(places)}")
            raise
        write_private(places.sample, State.LOADED.value)
    finally:
        os.close(lock)


def _is_being_loaded(places: Places) -> bool:
    with places.sample.open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
