"""Sales: cars are handed over and recorded, and the day is reported to customer care (SAL-10, SAL-11)."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Sequence
from datetime import date, datetime

from tools.demo.client import Json
from tools.life.customers import Sale, sales_of
from tools.life.desk import Desk

_UNFINISHED = frozenset({"STATE_UPLOADING", "STATE_CHECKING", "STATE_TAKING_OVER"})
_IMPORT_SECONDS = 60.0
_PAUSE_SECONDS = 0.02
_ON_A_LIST = 0.35
_FORGETS_HANDOVER = 0.04
_REPORTS_LATER = 0.6
_RECORDED_TOO_LATE = 0.06
_HEADERS = ("车架号", "品牌", "车系", "车型", "客户姓名", "联系电话", "销售顾问", "交车时间", "里程数")


class Showroom:
    """The information clerk's work."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._store = desk.store
        self._missing: date | None = None

    def record(self, until: datetime) -> None:
        """Records one by one what was handed over since the last time, except what goes onto the evening's list."""
        for sale in self._due(until):
            if not self._is_listed(sale) and not self._is_forgotten(sale):
                self._record(sale)

    def record_forgotten(self, until: datetime) -> None:
        """What was overlooked is recorded after the day's report: it does not agree then."""
        for sale in self._due(until):
            self._record(sale)

    def bring_list(self, until: datetime) -> None:
        """The rest of the day comes as a list, as the showroom's own tool writes it."""
        sales = [sale for sale in self._due(until) if self._is_listed(sale) and not self._is_forgotten(sale)]
        if not sales:
            return
        clerk = self._desk.account("clerk")
        name = f"交车清单-{until:%Y%m%d}.csv"
        found = self._desk.api.upload(clerk, self._desk.path("deliveries:import"), name, delivery_list(sales))
        found = self._ended(clerk, found)
        self._desk.sold.update({sale.vin: sale for sale in sales})
        self._desk.diary.note("lists brought in")
        self._desk.diary.note("deliveries from lists", int(found["taken"]))
        self._desk.diary.note("rows refused", int(found["rejected"]))

    def hand_over(self, day: date) -> None:
        """Reports the day, or forgets it."""
        if self._store.chance.about("hand-over", day).happens("forgotten", _FORGETS_HANDOVER):
            self._missing = day
            self._desk.diary.note("hand-overs missing at the cut-off")
            return
        self._report(day, "")

    def report_late(self) -> None:
        """The next morning a forgotten report is made up for, or not."""
        day, self._missing = self._missing, None
        if day is not None and self._store.chance.about("hand-over", day).happens("late", _REPORTS_LATER):
            self._report(day, "昨日漏报，补报")

    def _report(self, day: date, note: str) -> None:
        count = sum(1 for sale in sales_of(self._store, day) if sale.vin in self._desk.sold)
        body: Json = {"date": day.isoformat(), "reportedDeliveries": count, "note": note}
        self._desk.api.post(self._desk.account("clerk"), self._desk.path("dailyHandovers"), body)
        self._desk.diary.note("hand-overs reported")

    def _due(self, until: datetime) -> list[Sale]:
        sales = sales_of(self._store, until.date())
        return [sale for sale in sales if sale.handed_over <= until and sale.vin not in self._desk.sold]

    def _record(self, sale: Sale) -> None:
        clerk = self._desk.account("clerk")
        self._desk.api.post(clerk, self._desk.path("deliveries"), sale.body(self._store))
        self._desk.sold[sale.vin] = sale
        self._desk.diary.note("deliveries recorded")

    def _is_listed(self, sale: Sale) -> bool:
        return self._store.chance.about(sale.vin).happens("on the list", _ON_A_LIST)

    def _is_forgotten(self, sale: Sale) -> bool:
        return self._store.chance.about(sale.vin).happens("recorded too late", _RECORDED_TOO_LATE)

    def _ended(self, who: str, found: Json) -> Json:
        deadline = time.monotonic() + _IMPORT_SECONDS
        while found["state"] in _UNFINISHED:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{found['name']} did not end within {_IMPORT_SECONDS:.0f} s: {found['state']}")
            time.sleep(_PAUSE_SECONDS)
            found = self._desk.api.get(who, f"/v1/{found['name']}")
        return found


def delivery_list(sales: Sequence[Sale]) -> bytes:
    """The list as Excel in China saves it: a mark, commas, local times."""
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(_HEADERS)
    for sale in sales:
        when = sale.handed_over.strftime("%Y-%m-%d %H:%M")
        person = (sale.customer, sale.phone, sale.consultant.account)
        rows.writerow((sale.vin, sale.brand, sale.series, sale.model, *person, when, sale.odometer_km))
    return text.getvalue().encode("utf-8-sig")
