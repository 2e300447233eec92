"""What is done when: the day of a store, and of those above it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from zoneinfo import ZoneInfo

from tools.life.api import Api
from tools.life.calls import Calls
from tools.life.complaints import Complaints
from tools.life.days import Hour, Moment
from tools.life.desk import Desk
from tools.life.diary import Diary
from tools.life.group import GroupPlan, StorePlan
from tools.life.months import Months
from tools.life.showroom import Showroom
from tools.life.workshop import Workshop

GROUP_ZONE = ZoneInfo("Asia/Shanghai")
_AT_ONCE = 3


class StoreDay:
    """Everybody in one store."""

    def __init__(self, store: StorePlan, api: Api, diary: Diary) -> None:
        self.store = store
        self._desk = Desk(store, api, diary)
        self._showroom = Showroom(self._desk)
        self._calls = Calls(self._desk)
        self._complaints = Complaints(self._desk)
        self._workshop = Workshop(self._desk)

    def live(self, moment: Moment) -> None:
        """What the people of the store do at this moment of their day."""
        now = self._desk.local()
        match moment:
            case Moment.MORNING:
                self._showroom.report_late()
                self._calls.begin()
            case Moment.NOON:
                self._showroom.record(now)
                self._complaints.open_by_telephone()
            case Moment.AFTERNOON:
                self._showroom.record(now)
                self._calls.go_on()
                self._workshop.receive()
            case Moment.HAND_OVER:
                self._showroom.record(now)
                self._showroom.bring_list(now)
                self._showroom.hand_over(now.date())
                self._calls.go_on()
            case Moment.EVENING:
                self._showroom.record_forgotten(now)
                self._calls.go_on()
                self._calls.open_links()
        self._complaints.work()


class GroupLife:
    """All stores and the group quality manager; each store has a thread of its own while it lives a moment."""

    def __init__(self, group: GroupPlan, new_api: Callable[[], Api], first_day: date) -> None:
        self._own = Diary()
        self._api = new_api()
        self._apis = [self._api, *(new_api() for _ in group.stores)]
        self._diaries = [self._own, *(Diary() for _ in group.stores)]
        # No two stores share a client or a notebook: what a store does never depends on the others.
        parts = zip(group.stores, self._apis[1:], self._diaries[1:], strict=True)
        self._stores = [StoreDay(store, api, diary) for store, api, diary in parts]
        self._months = Months(group, self._api, self._own, first_day)
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="store")

    def close(self) -> None:
        """Ends the threads and closes the connections."""
        self._threads.shutdown(cancel_futures=True)
        for api in self._apis:
            api.close()

    def live(self, hour: Hour) -> bool:
        """What happens at this hour; returns whether anybody called the system. Raises what a store raised."""
        before = self.calls().total()
        self._months.work(self._api.now().astimezone(GROUP_ZONE))
        busy = [day for day in self._stores if day.store.zone.key in hour.moments]
        lived = [self._threads.submit(day.live, hour.moments[day.store.zone.key]) for day in busy]
        for one in lived:
            one.result()
        return self.calls().total() > before

    def told(self) -> Diary:
        """What happened so far, everywhere."""
        together = Diary()
        for diary in self._diaries:
            together.add(diary)
        return together

    def calls(self) -> Counter[str]:
        """How often the system was called so far, by method."""
        together: Counter[str] = Counter()
        for api in self._apis:
            together.update(api.calls)
        return together
