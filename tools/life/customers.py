"""Customers and their cars, and how content they are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from tools.demo import vehicle
from tools.demo.client import Json
from tools.life import names
from tools.life.chance import Chance
from tools.life.group import Colleague, StorePlan

_CARS: Final = (
    ("Nissan", "Paladin", "Paladin 2.4 4WD"),
    ("Nissan", "Paladin", "Paladin 2.4 2WD"),
    ("Zhengzhou Nissan", "D22", "D22 2.4 豪华型"),
    ("Zhengzhou Nissan", "锐骐", "锐骐 3.0T 柴油"),
)
_CONTENT: Final = 7
_BUSY_WEEKDAYS: Final = frozenset({5, 6})


@dataclass(frozen=True)
class Sale:
    """A car that is handed over at a time, as the showroom knows it."""

    vin: str
    brand: str
    series: str
    model: str
    customer: str
    phone: str
    consultant: Colleague
    handed_over: datetime
    odometer_km: int

    def body(self, store: StorePlan) -> Json:
        """As it is recorded."""
        consents = [{"channel": "CHANNEL_PHONE", "granted": True}]
        return {
            "vin": self.vin,
            "brand": self.brand,
            "series": self.series,
            "model": self.model,
            "customer": {"displayName": self.customer, "phone": self.phone, "consents": consents},
            "consultant": store.staff_name(self.consultant),
            "deliveryTime": self.handed_over.isoformat(timespec="seconds"),
            "odometerKm": self.odometer_km,
        }


def sales_of(store: StorePlan, day: date) -> list[Sale]:
    """The cars of a day in the order of their hand-over; more of them at the weekend."""
    chance = store.chance.about("day", day)
    busy = 1.4 if day.weekday() in _BUSY_WEEKDAYS else 0.84
    source = chance.source("deliveries")
    wanted = store.deliveries_a_day * busy
    number = int(wanted) + (source.random() < wanted % 1) + source.choice((-1, 0, 0, 0, 1))
    sales = [_sale(store, chance, day, place) for place in range(max(0, number))]
    return sorted(sales, key=lambda sale: sale.handed_over)


def _sale(store: StorePlan, day_chance: Chance, day: date, place: int) -> Sale:
    source = day_chance.source(f"car {place}")
    brand, series, model = source.choice(_CARS)
    handed_over = datetime(day.year, day.month, day.day, 9, 20, tzinfo=store.zone)
    return Sale(
        vin=vehicle.vin(source),
        brand=brand,
        series=series,
        model=model,
        customer=names.person(day_chance, place),
        phone=vehicle.phone(source),
        consultant=source.choice(store.consultants),
        handed_over=handed_over + timedelta(minutes=source.randrange(0, 510, 5)),
        odometer_km=source.randint(6, 45),
    )


class Mood:
    """What a customer thinks of his purchase; the marks follow from it."""

    def __init__(self, store: StorePlan, vin: str, consultant: str) -> None:
        self._store = store
        self._chance = store.chance.about("mood", vin)
        self.level = self._chance.normal("level", store.satisfaction.get(consultant, 5.9), 0.75)

    @property
    def wants_to_complain(self) -> bool:
        """Whether he says so when he is asked."""
        return self.level < 4.1 and self._chance.happens("complains", 0.6)  # noqa: PLR2004 - about the average mark

    def answers(self, questions: list[Json]) -> dict[str, int | str]:
        """His answer to each question that he answers."""
        found: dict[str, int | str] = {}
        for question in questions:
            code, kind = question["code"], question["type"].removeprefix("QUESTION_TYPE_")
            if kind == "SCALE_7":
                found[code] = self._mark(question)
            elif kind == "NPS":
                found[code] = min(10, max(0, round(self._chance.normal(code, (self.level - 1) * 10 / 6, 0.8))))
            elif kind == "YES_NO":
                found[code] = int(self.wants_to_complain)
            elif kind == "TEXT" and self.level < 4.6:  # noqa: PLR2004 - people write when they are not content
                found[code] = self._chance.pick(code, _REMARKS)
        return found

    def _mark(self, question: Json) -> int:
        below = 0.55 if question["factor"] == self._store.weak_factor else 0.0
        return min(_CONTENT, max(1, round(self._chance.normal(question["code"], self.level - below + 0.2, 0.55))))


_REMARKS: Final = (
    "交车比约定的晚了三个小时，没有人解释原因。",
    "价格单上有几项费用没有说清楚。",
    "等候区太吵，也没有水喝。",
    "销售顾问很忙，功能没有讲完就走了。",
    "车里有划痕，发现后处理得太慢。",
)
