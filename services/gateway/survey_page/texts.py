"""What the survey page says, in both languages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

LANGUAGES: Final = ("zh-CN", "en")

TEXTS: Final[Mapping[str, Mapping[str, str]]] = {
    "zh-CN": {
        "other": "English",
        "intro": "请为您的每项体验打分，约需 3 分钟。每份问卷只能提交一次。",
        "vehicle": "车型",
        "delivered": "交车日期",
        "scale_7_ends": "1 = 不可接受，4 = 一般，7 = 非常满意",
        "scale_10_ends": "1 = 很差，10 = 非常好",
        "nps_ends": "0 = 完全不可能，10 = 非常可能",
        "not_applicable": "不适用",
        "yes": "是",
        "no": "否",
        "required": "必答",
        "submit": "提交",
        "wrong": "还有 {count} 处需要您处理，已填写的答案都已保留：",
        "missing": "请回答此题。",
        "twice": "此题收到了两个答案，请只选择一个。",
        "bad_mark": "请从给出的选项中选择一项。",
        "too_long": "文字太长，最多 4000 字。",
        "bad_text": "文字中含有无法保存的字符。",
        "refused": "此答案未被接受。",
        "privacy": "您的回答仅用于改进我们的服务。",
        "thanks_title": "感谢您的反馈！",
        "thanks": "您的回答已收到，可以关闭此页面。",
        "complained_title": "感谢您告诉我们",
        "complained": "您的投诉已收到。我们会在营业时间 2 小时内致电与您联系。",
        "used_title": "您已经回答过了",
        "used": "这份问卷已提交，每个链接只能使用一次。感谢您的反馈！",
        "expired_title": "链接已过期",
        "expired": "这份问卷的填写时间已过。如有任何意见，欢迎致电门店。",
        "cancelled_title": "问卷已取消",
        "cancelled": "这份问卷已不再需要填写。",
        "unknown_title": "链接无效",
        "unknown": "链接不完整或已被更改。请直接点击收到的完整链接。",
        "invalid_title": "无法读取您的提交",
        "invalid": "请返回问卷页面重新提交。",
        "busy_title": "暂时无法打开",
        "busy": "系统正忙，请稍后再试。您的链接仍然有效。",
    },
    "en": {
        "other": "中文",
        "intro": "Please mark each part of your experience; it takes about 3 minutes. A survey can be sent once.",
        "vehicle": "Vehicle",
        "delivered": "Delivered on",
        "scale_7_ends": "1 = unacceptable, 4 = average, 7 = excellent",
        "scale_10_ends": "1 = very poor, 10 = excellent",
        "nps_ends": "0 = not at all likely, 10 = extremely likely",
        "not_applicable": "n/a",
        "yes": "Yes",
        "no": "No",
        "required": "required",
        "submit": "Send",
        "wrong": "Please look at {count} more; everything that you have filled in is kept:",
        "missing": "Please answer this question.",
        "twice": "This question was answered twice: please give one answer.",
        "bad_mark": "Please choose one of the marks.",
        "too_long": "The text is too long: 4000 characters at the most.",
        "bad_text": "The text has a character that cannot be kept.",
        "refused": "This answer was not accepted.",
        "privacy": "Your answers are used only to improve our service.",
        "thanks_title": "Thank you!",
        "thanks": "Your answers have arrived. You can close this page.",
        "complained_title": "Thank you for telling us",
        "complained": "Your complaint has arrived. We will call you within 2 hours in which we are open.",
        "used_title": "You have answered already",
        "used": "This survey was sent; each link works once. Thank you for your feedback!",
        "expired_title": "The link has expired",
        "expired": "The time to answer this survey is over. If there is anything to tell us, please call the store.",
        "cancelled_title": "The survey was cancelled",
        "cancelled": "This survey need not be answered any more.",
        "unknown_title": "The link is not valid",
        "unknown": "The link is incomplete or was changed. Please open it as you received it.",
        "invalid_title": "We could not read what was sent",
        "invalid": "Please go back to the survey and send it again.",
        "busy_title": "Not available now",
        "busy": "The system is busy, please try again later. Your link stays valid.",
    },
}


def language(chosen: str | None, accept: str) -> str:
    """The language of the page: the chosen one when the page has it, else the most wanted of Accept-Language."""
    if chosen in LANGUAGES:
        return str(chosen)
    wanted: list[tuple[float, int, str]] = []
    for at, part in enumerate(accept.split(",")[:20]):
        tag, _, weight = part.partition(";q=")
        primary = tag.strip().lower().partition("-")[0]
        match = {"zh": "zh-CN", "en": "en"}.get(primary)
        if match:
            wanted.append((-_weight(weight), at, match))
    return min(wanted)[2] if wanted else LANGUAGES[0]


def pick(texts: Mapping[str, str], lang: str) -> str:
    """The text in the language, or in another that there is."""
    return texts.get(lang) or texts.get("zh-CN") or next(iter(texts.values()), "")


def _weight(text: str) -> float:
    try:
        return float(text) if text else 1.0
    except ValueError:
        return 0.0
