"""Lists of deliveries as stores keep them, and what stays open when one is taken over."""

from __future__ import annotations

from dealerloop.sales.v1.corrections_pb2 import DataCorrection
from tests.support.corrections_desk import inbox
from tests.support.deliveries import STORE, vin_of
from tests.support.one_service import OneService

HEADERS = ("车架号", "品牌", "车系", "车型", "客户姓名", "手机", "销售顾问", "交车日期", "开票日期", "里程", "车牌")
DAY = "2026-05-18"


def row(number: int = 1, **changes: object) -> list[object]:
    """A row of such a list that lacks nothing."""
    cells: dict[str, object] = {
        "vin": vin_of(number),
        "brand": "Nissan",
        "series": "Paladin",
        "model": "2.5 4WD",
        "name": f"王{number}",
        "phone": f"138{number:08d}",
        "consultant": "li-lei",
        "day": DAY,
        "invoiced": DAY,
        "km": 12,
        "plate": "京A12345",
    }
    return list((cells | changes).values())


async def open_corrections(sales: OneService, store: str = STORE) -> list[DataCorrection]:
    """The data corrections that wait for somebody of the store."""
    found = await inbox(sales, store=store, state=DataCorrection.STATE_OPEN)
    return list(found.data_corrections)
