"""After-sales: cars come for their first service, most of them in time (CAD-07, CAD-08)."""

from __future__ import annotations

from datetime import date
from typing import Final

from tools.life.customers import Sale
from tools.life.desk import Desk

_COMES: Final = 0.8
_EARLIEST_DAYS, _LATEST_DAYS = 24, 75
_KM_A_DAY: Final = (28, 60)


class Workshop:
    """The service advisor's work."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._served: set[str] = set()

    def receive(self) -> None:
        """The cars that come today."""
        today = self._desk.local().date()
        for sale in list(self._desk.sold.values()):
            if sale.vin not in self._served and self._comes(sale, today):
                self._served.add(sale.vin)
                self._serve(sale, today)

    def _comes(self, sale: Sale, today: date) -> bool:
        chance = self._desk.store.chance.about("first service", sale.vin)
        days = chance.count("after", _EARLIEST_DAYS, _LATEST_DAYS)
        return (today - sale.handed_over.date()).days >= days and chance.happens("comes", _COMES)

    def _serve(self, sale: Sale, today: date) -> None:
        a_day = self._desk.store.chance.about("first service", sale.vin).count("km a day", *_KM_A_DAY)
        driven = a_day * (today - sale.handed_over.date()).days
        visit = {
            "vin": sale.vin,
            "visitDate": today.isoformat(),
            "odometerKm": sale.odometer_km + driven,
            "kind": "KIND_FIRST_SERVICE",
        }
        self._desk.api.post(self._desk.account("advisor"), self._desk.path("workshopVisits"), visit)
        self._desk.diary.note("first services")
