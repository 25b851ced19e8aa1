"""What a wrong cell most likely means, written as the tables want it; nothing where nobody can know.

It only ever makes a suggestion: no cell is read by what stands here.
"""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cache
from typing import Final

from sorter.reasons import Said, Sentence
from sorter.rulebook import mistakes
from sorter.rulebook.mistakes import Mistake

ANY_WORDS: Final = frozenset(
    ("*", "全部", "所有", "任意", "任何", "不限", "全", "all", "any", "every", "全天", "每天", "每日", "天天", "daily")
)
NONE_WORDS: Final = frozenset(("无", "没有", "none", "null", "n/a", "/", "--", "—", "——"))
NO_LIMIT_WORDS: Final = frozenset(("不限", "不限量", "无限", "无限制", "unlimited", "∞")) | NONE_WORDS

_UNITS: Final[Mapping[Sentence, Mapping[str, int | Decimal]]] = {
    mistakes.GRAMS: {"g": 1, "克": 1, "斤": 500, "kg": 1000, "公斤": 1000, "千克": 1000},
    mistakes.WEIGHT_G: {"g": 1, "克": 1, "斤": 500, "kg": 1000, "公斤": 1000, "千克": 1000},
    mistakes.MILLIMETRES: {"mm": 1, "毫米": 1, "cm": 10, "厘米": 10, "公分": 10, "m": 1000, "米": 1000},
    mistakes.METRES: {"m": 1, "米": 1, "cm": Decimal("0.01"), "厘米": Decimal("0.01"), "mm": Decimal("0.001")},
    mistakes.MINUTES_BEFORE: {"分": 1, "分钟": 1, "min": 1, "mins": 1, "minutes": 1, "小时": 60, "h": 60},
    mistakes.ITEMS: {"件": 1, "个": 1, "items": 1, "pcs": 1},
}
"""How many of the column's own unit each unit is. Numbers that count nothing have none."""

_TO: Final = r"\.{2,3}|-|~|–|—{1,2}|−|到|至|to"
_BOUNDS: Final = {
    word: sign
    for sign, words in {
        ">=": ">= => ≥ ≧ ⩾ 大于等于 大于或等于 不小于 不少于 不低于 至少 最少 以上 及以上 起",
        ">": "> 大于 超过 高于 多于 重于 长于",
        "<=": "<= =< ≤ ≦ ⩽ 小于等于 小于或等于 不大于 不超过 不高于 不多于 至多 最多 以下 及以下 以内 之内",
        "<": "< 小于 不足 不满 不到 低于 少于 轻于 短于",
    }.items()
    for word in words.split()
}
_BOUND: Final = "|".join(sorted(map(re.escape, _BOUNDS), key=len, reverse=True))
_SIGNS: Final = frozenset(_BOUNDS.values())


@cache
def _amount(unit: Sentence) -> str:
    """A pattern of three groups: whole part, decimals, unit."""
    units = "|".join(sorted(_UNITS.get(unit, ()), key=len, reverse=True))
    whole = "[0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,9}" if units else "[0-9]{1,9}"
    return rf"({whole})(\.[0-9]{{1,6}})?\s*({units})?"


def _match(pattern: str, text: str) -> tuple[str, ...] | None:
    found = re.fullmatch(pattern, text, re.IGNORECASE)
    return None if found is None else found.groups("")


def _value(unit: Sentence, whole: str, decimals: str, spelt: str) -> Decimal:
    factor = _UNITS[unit][spelt.lower()] if spelt else 1
    return Decimal(whole.replace(",", "") + decimals) * factor


def _is_whole(value: Decimal) -> bool:
    return value == int(value)


def number(text: str, unit: Sentence, what: Sentence | Said) -> Said | None:
    """A number with unit, thousands separators or a per cent sign. `what` it should have been."""
    if re.fullmatch(r"[0-9.]+\s*%", text):
        return Mistake.PERCENT.about(text=text, what=what, unit=unit)
    found = _match(_amount(unit), text)
    if found is None:
        return None
    value = _value(unit, *found)
    odd = Mistake.HAS_UNIT if found[2] else Mistake.THOUSANDS if "," in found[0] else None
    if odd is None or not _is_whole(value if unit is not mistakes.METRES else value * 1000):
        return None
    return odd.about(text=text, what=what, meant=f"{value.normalize():f}")


def span(text: str, unit: Sentence) -> Said | None:
    """A range with a wrong sign, a bound in words, or either with units or thousands separators."""
    what = mistakes.RANGE_OF.about(unit=unit)
    amount = _amount(unit)
    if found := _match(rf"{amount}\s*({_TO})\s*{amount}", text):
        low = _value(unit, found[0], found[1], found[2] or found[6])
        high = _value(unit, found[4], found[5], found[6] or found[2])
        right = low <= high and _is_whole(low) and _is_whole(high)
        meant, sign_is_right, has_unit = f"{low:.0f}..{high:.0f}", found[3] == "..", bool(found[2] or found[6])
    elif found := _match(rf"({_BOUND})\s*{amount}", text) or _after(text, amount):
        value = _value(unit, *found[1:])
        right, sign_is_right, has_unit = _is_whole(value), found[0] in _SIGNS, bool(found[3])
        meant = f"{_BOUNDS[found[0]]}{value:.0f}"
    else:
        return number(text, unit, what)
    if not right:
        return None
    if not sign_is_right:
        mistake = Mistake.RANGE_SIGN if ".." in meant else Mistake.BOUND_IN_WORDS
        return mistake.about(text=text, unit=unit, meant=meant)
    return (Mistake.HAS_UNIT if has_unit else Mistake.THOUSANDS).about(text=text, what=what, meant=meant)


def _after(text: str, amount: str) -> tuple[str, ...] | None:
    """A bound that stands behind its number: 3公斤以上."""
    found = _match(rf"{amount}\s*({_BOUND})", text)
    return None if found is None or found[3] in _SIGNS else (found[3], *found[:3])


_SPOKEN: Final = (
    r"(凌晨|早上|上午|中午|下午|傍晚|晚上|)\s*([0-9]{1,2})\s*(?:[:.;点时h]\s*([0-9]{2}|半|)\s*分?|)\s*(am|pm|)"
)
_RUN: Final = r"([0-9]{1,2})([0-9]{2})"
_FRACTION: Final = r"0?\.[0-9]{3,}"
_LATE: Final = frozenset(("下午", "傍晚", "晚上", "pm"))
_TWELVE: Final = {"凌晨": 0, "am": 0, "晚上": 24}


def clock(text: str) -> str:
    """A time of the day as 08:30, from 8.30, 0830, 8点半, 8:30 PM or the spreadsheet's fraction of a day; or ""."""
    if re.fullmatch(_FRACTION, text):
        hour, minute = divmod(round(Decimal(text) * 1440), 60)
    elif run := _match(_RUN, text):
        hour, minute = map(int, run)
    elif spoken := _match(_SPOKEN, text):
        hour, minute = int(spoken[1]), int({"半": "30", "": "0"}.get(spoken[2], spoken[2]))
        when = spoken[0] or spoken[3].lower()
        hour = _TWELVE.get(when, 12) if hour == 12 else hour + 12 * (hour < 12 and when in _LATE)
    else:
        return ""
    return f"{hour:02d}:{minute:02d}" if hour < 24 and minute < 60 else ""


def time_span(text: str) -> str:
    """A span of time with a wrong sign or wrong ends as 08:00..12:30, or ""."""
    ends = [clock(end.strip()) for end in re.split(_TO, text)]
    return "..".join(ends) if len(ends) == 2 and all(ends) else ""


_SEPARATOR: Final = r"[,、;/+\s和及]+"


def several(text: str, one: Callable[[str], str]) -> str:
    """Values of which some are separated by other signs than |, each as `one` writes it, all by |; or ""."""
    tight = re.sub(r"\s*\|\s*", "|", text)
    if not re.search(_SEPARATOR, tight):
        return ""
    parts = [one(part) for part in re.split(rf"\||{_SEPARATOR}", tight)]
    return "|".join(parts) if all(parts) else ""
