"""Invented names: what people, stores and streets are called belongs to nobody."""

from __future__ import annotations

from typing import Final, NamedTuple

from tools.life.chance import Chance

_SURNAMES: Final = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕"
_GIVEN: Final = (
    *("伟", "芳", "娜", "敏", "静", "丽", "强", "磊", "军", "洋", "勇", "艳", "杰", "娟", "涛", "明", "超", "霞"),
    *("平", "刚", "桂英", "秀兰", "建国", "志强", "晓明", "雪梅", "文博", "子轩", "雨桐", "思远", "佳怡", "海燕"),
    *("春梅", "国庆", "俊杰", "玉兰", "浩然", "欣怡", "嘉豪", "梦琪", "一鸣", "婷婷"),
)


class Place(NamedTuple):
    """Where a store stands."""

    code: str
    city: str
    region: str
    time_zone: str


# The third one lives by another clock than the others.
PLACES: Final = (
    Place("bj", "北京", "north", "Asia/Shanghai"),
    Place("tj", "天津", "north", "Asia/Shanghai"),
    Place("ur", "乌鲁木齐", "west", "Asia/Urumqi"),
    Place("sjz", "石家庄", "north", "Asia/Shanghai"),
    Place("xa", "西安", "west", "Asia/Shanghai"),
    Place("lz", "兰州", "west", "Asia/Shanghai"),
)
REGIONS: Final = {"north": "北方大区", "west": "西部大区"}
_ORDER: Final = ("一", "二", "三", "四", "五", "六", "七", "八", "九", "十")


def person(chance: Chance, who: object) -> str:
    """A Chinese name."""
    source = chance.source(f"name of {who}")
    return source.choice(_SURNAMES) + source.choice(_GIVEN)


def store(number: int) -> tuple[str, str, Place]:
    """Id, name and place of the store with that number, from 0."""
    place, times = PLACES[number % len(PLACES)], number // len(PLACES)
    return f"{place.code}-{times + 1:02d}", f"{place.city}{_ORDER[times]}店", place
