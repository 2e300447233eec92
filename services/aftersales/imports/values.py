"""What a list of workshop visits consists of, and what its headers and kinds of visits are usually called."""

from __future__ import annotations

from datetime import date
from typing import Final

import orjson

from aftersales.vehicles.values import VisitKind
from aftersales.visits.values import Draft as Visit
from kit.imports.values import Field, FieldKind

VIN, VISIT_DATE, ODOMETER_KM, KIND = "vin", "visitDate", "odometerKm", "kind"
NEXT_DUE_DATE, NEXT_DUE_KM = "nextDueDate", "nextDueKm"
_KM: Final = ("km", "kms", "公里", "千米")

# A visit is dated by the day on which the car was returned; the day of arrival stands in where a list has no other.
FIELDS: Final = (
    Field(
        VIN,
        synonyms=(
            "车架号",
            "车架号码",
            "车辆识别代号",
            "车辆识别码",
            "VIN码",
            "底盘号",
            "VIN number",
            "chassis number",
        ),
        required=True,
    ),
    Field(
        VISIT_DATE,
        FieldKind.DAY,
        synonyms=(
            *("date of visit", "service date", "repair date", "closing date", "invoice date", "date out", "date"),
            *("出厂日期", "出厂时间", "交车日期", "结算日期", "结算时间", "完工日期", "维修日期", "保养日期"),
            *("来店日期", "进店日期", "进厂日期", "进厂时间", "送修日期", "开单日期", "日期"),
        ),
        required=True,
    ),
    Field(
        ODOMETER_KM,
        FieldKind.WHOLE_NUMBER,
        synonyms=(
            *("odometer", "mileage", "mileage km", "kilometres", "kilometers", "km"),
            *("行驶里程", "里程", "里程数", "公里数", "进厂里程", "出厂里程", "当前里程"),
        ),
        required=True,
        units=_KM,
    ),
    Field(
        KIND,
        synonyms=(
            *("visit kind", "service type", "visit type", "repair type", "order type", "job type", "type"),
            *("维修类型", "维修类别", "业务类型", "工单类型", "服务类型", "维修种类", "作业类型", "类型"),
        ),
        required=True,
    ),
    Field(
        NEXT_DUE_DATE,
        FieldKind.DAY,
        synonyms=("next service date", "next due", "下次保养日期", "下次保养时间", "下次进厂日期", "下次定保日期"),
    ),
    Field(
        NEXT_DUE_KM,
        FieldKind.WHOLE_NUMBER,
        synonyms=("next service mileage", "next service km", "下次保养里程", "下次保养公里数", "下次定保里程"),
        units=_KM,
    ),
)

_NAMES: Final = {
    VisitKind.FIRST_SERVICE: ("first service", "first maintenance", "free service", "首保", "首次保养", "免费首保"),
    VisitKind.SCHEDULED_MAINTENANCE: (
        *("scheduled maintenance", "maintenance", "service", "regular service", "periodic maintenance"),
        *("定保", "保养", "定期保养", "常规保养", "普通保养", "二保", "例行保养"),
    ),
    VisitKind.REPAIR: (
        *("repair", "general repair", "mechanical repair", "warranty repair", "warranty"),
        *("维修", "一般维修", "普通维修", "机电维修", "机修", "小修", "大修", "索赔", "保修", "返修", "修理"),
    ),
    VisitKind.ACCIDENT_REPAIR: (
        *("accident repair", "accident", "body repair", "body and paint", "collision repair"),
        *("事故", "事故车", "事故维修", "保险事故", "钣喷", "钣金", "喷漆", "钣金喷漆"),
    ),
    VisitKind.INSPECTION: (
        *("inspection", "check", "check-up", "consultation", "annual inspection"),
        *("检查", "检测", "免费检测", "年检", "年审", "咨询"),
    ),
}


def spelled(text: str) -> str:
    """The text as it is compared: capitals, blanks and joining signs make no difference."""
    return text.casefold().translate(dict.fromkeys(map(ord, " _-\u3000/"))).removeprefix("kind")


KINDS: Final = {spelled(name): kind for kind, names in _NAMES.items() for name in (*names, kind.value)}
"""Kinds by what a cell may call them, as `spelled` writes it."""


def pack_visit(visit: Visit) -> bytes:
    """Return a visit as it waits for its confirmation."""
    return orjson.dumps(
        (visit.vin, visit.visit_date, visit.odometer_km, visit.kind, visit.next_due_date, visit.next_due_km)
    )


def unpack_visit(payload: bytes) -> Visit:
    """Return the visit that waited."""
    vin, day, odometer_km, kind, next_due, next_due_km = orjson.loads(payload)
    next_due_date = date.fromisoformat(next_due) if next_due else None
    return Visit(vin, date.fromisoformat(day), odometer_km, VisitKind(kind), next_due_date, next_due_km)
