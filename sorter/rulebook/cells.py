"""The cell language: text of one cell in, a checked value out, or a sentence that says what to write.

A blank cell and `-` mean "any". Cells are already plain (see tables.plain).
"""

import datetime as dt
import difflib
import re
import sys
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sorter import limits

ALL_DAYS: Final = tuple(range(7))
DAY_MIN: Final = 24 * 60
ANY: Final = ("", "-")

Spans = tuple[tuple[int, int], ...]
"""Numbers from..to, both ends included; or minutes of the day, the end excluded. Empty: any."""


class CellError(ValueError):
    """What is wrong with the cell, and what to write instead."""


class Words(NamedTuple):
    """A set of names: those that fit `items` (`78*` by its beginning), or with `negated` all others.

    Any name at all is "none excluded": negated, without items.
    """

    negated: bool
    items: tuple[str, ...]

    def has(self, name: str) -> bool:
        return any(_fits(item, name) for item in self.items) != self.negated


ANY_WORD: Final = Words(negated=True, items=())
NO_WORD: Final = Words(negated=False, items=())
"""Stands in for a wrong cell: it fits nothing, so that what it should have covered is told too."""


def _fits(item: str, name: str) -> bool:
    return name.startswith(item[:-1]) if item.endswith("*") else name == item


class Roster:
    """Names in a fixed order, to find at once all that a cell's words mean."""

    def __init__(self, names: Iterable[str]) -> None:
        self._index = {name: at for at, name in enumerate(names)}
        self._sorted = sorted(self._index)
        self._order = np.array([self._index[name] for name in self._sorted], np.intp)
        self._masks: dict[Words, NDArray[np.bool_]] = {}

    def mask(self, words: Words) -> NDArray[np.bool_]:
        """For each name, whether `words.has` it."""
        found = self._masks.get(words)
        if found is None:
            found = np.full(len(self._index), words.negated)
            for item in words.items:
                found[self._places(item)] = not words.negated
            self._masks[words] = found
        return found

    def _places(self, item: str) -> NDArray[np.intp]:
        if not item.endswith("*"):
            return self._order[:0] if item not in self._index else np.array([self._index[item]], np.intp)
        first = bisect_left(self._sorted, item[:-1])
        beyond = bisect_left(self._sorted, item[:-1] + chr(sys.maxunicode))
        return self._order[first:beyond]


_SUGGESTIONS_MAX: Final = 64


class Vocabulary:
    """The names a column may hold, what else they are called, and a near one for a misspelt one."""

    def __init__(self, what: str, where: str, names: Iterable[str], aliases: Mapping[str, str] | None = None) -> None:
        self.what = what  # "carrier"
        self.where = where  # "in carriers.csv"
        self.names = dict.fromkeys(names)
        self._sorted = sorted(self.names)
        self._aliases = dict(aliases or {})
        self._unknown: set[str] = set()

    def find(self, word: str) -> str:
        """The name meant by `word`. Raises CellError."""
        if word in self.names:
            return word
        if word in self._aliases:
            return self._aliases[word]
        raise CellError(f'"{word}" is no {self.what} {self.where}{self._hint(word)}')

    def find_prefix(self, prefix: str) -> str:
        """`prefix*`, when some name begins so. Raises CellError."""
        at = bisect_left(self._sorted, prefix)
        if prefix and at < len(self._sorted) and self._sorted[at].startswith(prefix):
            return f"{prefix}*"
        if not prefix:
            raise CellError("a * alone would be any; leave the cell blank instead")
        raise CellError(f'no {self.what} {self.where} begins with "{prefix}"')

    def _hint(self, word: str) -> str:
        separator = next((char for char in ",、;/ +" if char in word), None)
        if separator is not None and all(part in self.names for part in word.split(separator)):
            return f'; separate values by |: "{"|".join(word.split(separator))}"'
        self._unknown.add(word)
        if len(self._unknown) > _SUGGESTIONS_MAX:
            return ""  # a whole column is wrong; looking for near names would take minutes
        folded = {name.casefold(): name for name in (*self.names, *self._aliases)}
        near = difflib.get_close_matches(word.casefold(), list(folded), n=1)
        if near:
            return f'; did you mean "{folded[near[0]]}"?'
        few = list(self.names)[:12]
        return f"; write one of {', '.join(few)}" if len(self.names) == len(few) > 0 else ""


_MONTH: Final = "(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_DATE: Final = re.compile(
    rf"\d{{4}}[-/年.]\d{{1,2}}[-/月.]\d{{1,2}}日?(?:\s.*)?|\d{{1,2}}月\d{{1,2}}日?|\d{{4}}年\d{{1,2}}月"
    rf"|\d{{1,2}}/\d{{1,2}}/\d{{2,4}}|\d{{1,4}}[- ]{_MONTH}(?:[- ]\d+)?|{_MONTH}[- ]\d{{1,4}}",
    re.IGNORECASE,
)
_SCIENTIFIC: Final = re.compile(r"[+-]?\d+(?:\.\d+)?e[+-]\d+|[+-]?\d+\.\d+e\d+", re.IGNORECASE)
_FAULT: Final = re.compile(r"#(?:NAME|REF|VALUE|N/A|DIV/0|NUM|NULL|SPILL|CALC)[!?]?|#{3,}", re.IGNORECASE)


def undamaged(text: str, *, date: bool = False) -> str:
    """`text`, unless a spreadsheet has spoilt it. Raises CellError. `date`: the cell may be a date."""
    if not text or text.isalpha() or text.isdecimal():
        return text
    if "\n" in text or "\r" in text:
        raise CellError("the cell holds a line break; is a quotation mark missing in this row or an earlier one?")
    for part in re.split(r"[|!]|\.\.", text):
        _check_part(part.strip(), date=date)
    if text.startswith("="):
        raise CellError(f'"{text}" is a formula; write its value as text')
    return text


def _check_part(part: str, *, date: bool) -> None:
    if _SCIENTIFIC.fullmatch(part):
        raise CellError(
            f'"{part}" is what a spreadsheet makes of a long number or of a code such as 57E1, and the digits are lost;'
            " format the column as text and write it again in full"
        )
    if not date and _DATE.fullmatch(part):
        raise CellError(
            f'"{part}" is a date: a spreadsheet makes one of text such as 1-2;'
            " format the column as text and write it again"
        )
    if _FAULT.fullmatch(part):
        raise CellError(f'"{part}" is a spreadsheet\'s error mark, not a value; write the value as text')


_RESERVED: Final = re.compile(r"[|!*<>\"]|\.\.")


def name(text: str) -> str:
    """A name that a table defines. Raises CellError."""
    if text in ANY:
        raise CellError("the cell is empty; write a name")
    wrong = _RESERVED.search(text)
    if wrong:
        raise CellError(f'"{text}" holds {wrong[0]}, which means something in other cells; leave it out of names')
    if len(text) > limits.NAME_TEXT_MAX:
        raise CellError(f'"{text}" has {len(text)} characters; a name has at most {limits.NAME_TEXT_MAX}')
    if not text.isprintable():
        raise CellError("the name holds a tab or another control character; write it again")
    return text


def title(text: str) -> str:
    """What staff read. Raises CellError when it is blank."""
    if text in ANY:
        raise CellError("the cell is empty; write what staff call it")
    return text


def word(text: str, vocabulary: Vocabulary) -> str:
    """One known name. Raises CellError."""
    if text in ANY:
        raise CellError(f"the cell is empty; write a {vocabulary.what} {vocabulary.where}")
    if text[0] == "!" or text[-1] == "*" or "|" in text:
        raise CellError(f'"{text}": here stands one {vocabulary.what} alone, without |, ! and *')
    return vocabulary.find(text)


def words(text: str, vocabulary: Vocabulary) -> Words:
    """Any, `A`, `A|B`, `!A`, `!A|B` (neither), `78*`, all of known names. Raises CellError."""
    if text in ANY:
        return ANY_WORD
    negated, parts = _parts(text)
    items = [vocabulary.find_prefix(part[:-1]) if part.endswith("*") else vocabulary.find(part) for part in parts]
    return Words(negated, tuple(sorted(set(items))))


def free_words(text: str) -> Words:
    """As words, where the cell itself brings the names into the world; letters are folded to small ones."""
    if text in ANY:
        return ANY_WORD
    negated, parts = _parts(text.lower())
    items = [f"{name(part[:-1])}*" if part.endswith("*") and part != "*" else name(part) for part in parts]
    return Words(negated, tuple(sorted(set(items))))


def listed(text: str, vocabulary: Vocabulary) -> tuple[str, ...]:
    """`A|B` in the order written, or nothing for a blank cell. Raises CellError."""
    if text in ANY:
        return ()
    return tuple(dict.fromkeys(word(part, vocabulary) for part in _split(text)))


def _parts(text: str) -> tuple[bool, list[str]]:
    negated = text.startswith("!")
    parts = _split(text[1:] if negated else text)
    wrong = next((part for part in parts if "!" in part), None)
    if wrong is not None:
        raise CellError(f'"{text}": a ! stands once, at the front, and excludes all that follows: !A|B')
    return negated, parts


def _split(text: str) -> list[str]:
    parts = [part.strip() for part in text.split("|")]
    if not all(parts):
        raise CellError(f'"{text}": a value is missing beside |')
    return parts


_WHOLE: Final = re.compile(r"[0-9]+")
_SPAN: Final = re.compile(r"([0-9]+)\s*\.\.\s*([0-9]+)")
_BOUND: Final = re.compile(r"(>=|<=|>|<)\s*([0-9]+)")


def number(text: str, least: int, most: int, unit: str) -> int:
    """One whole number. Raises CellError."""
    if not _WHOLE.fullmatch(text):
        what = f'"{text}" is not a whole number' if text not in ANY else "the cell is empty"
        raise CellError(f"{what}; write {unit} as digits alone, from {least} to {most}")
    value = int(text) if len(text) < 19 else most + 1
    if not least <= value <= most:
        raise CellError(f"{text} is out of range; write {unit} from {least} to {most}")
    return value


def capacity(text: str) -> int:
    """Items that fit, 0 for a blank cell: without limit. Raises CellError."""
    if text in ANY:
        return 0
    if text == "0":
        raise CellError("a capacity of 0 would take nothing; leave the cell blank for no limit, or delete the row")
    return number(text, 1, limits.CAPACITY_MAX, "a number of items")


def spans(text: str, most: int, unit: str) -> Spans:
    """Any, `500`, `0..3000`, `>3000`, `>=`, `<`, `<=`, or several by `|`. Raises CellError."""
    if text in ANY:
        return ()
    return _merged([_span(part, most, unit) for part in _split(text)], gap=1)


def _span(part: str, most: int, unit: str) -> tuple[int, int]:
    if match := _SPAN.fullmatch(part):
        low, high = (number(end, 0, most, unit) for end in match.groups())
    elif match := _BOUND.fullmatch(part):
        bound = number(match[2], 0, most, unit)
        low, high = {">": (bound + 1, most), ">=": (bound, most), "<": (0, bound - 1), "<=": (0, bound)}[match[1]]
    elif _WHOLE.fullmatch(part):
        low = high = number(part, 0, most, unit)
    else:
        raise CellError(f'"{part}" is not a range of {unit}; write 0..3000, >3000 or one whole number, without unit')
    if low > high:
        raise CellError(f'"{part}" holds no number; write the smaller one first, within 0..{most}')
    return low, high


def _merged(parts: list[tuple[int, int]], gap: int) -> Spans:
    out: list[tuple[int, int]] = []
    for low, high in sorted(parts):
        if out and low <= out[-1][1] + gap:
            out[-1] = (out[-1][0], max(out[-1][1], high))
        else:
            out.append((low, high))
    return tuple(out)


_CLOCK: Final = re.compile(r"(\d{1,2}):(\d{2})(?::00)?", re.ASCII)


def minute(text: str) -> int:
    """Minute of the day of `08:00`; 24:00 is 1440. Raises CellError."""
    match = _CLOCK.fullmatch(text)
    value = int(match[1]) * 60 + int(match[2]) if match and int(match[2]) < 60 else DAY_MIN + 1
    if value > DAY_MIN:
        raise CellError(f'"{text}" is not a time; write hours and minutes of 24 hours, such as 08:00')
    return value


def departures(text: str) -> tuple[int, ...]:
    """`08:00` or `08:00|14:30` as minutes of the day, below 1440. Raises CellError."""
    if text in ANY:
        raise CellError("the cell is empty; write when the trip departs, such as 08:00")
    out = sorted({minute(part) for part in _split(text)})
    if out[-1] == DAY_MIN:
        raise CellError("24:00 is 00:00 of the next day; write 00:00 and the day after in days")
    return tuple(out)


def times(text: str) -> Spans:
    """Any, `08:00..12:30`, or several by `|`; the end is excluded. Raises CellError.

    A span past midnight, such as 22:00..02:00, ends beyond 1440: it runs into the next day.
    """
    if text in ANY:
        return ()
    return _merged([_time_span(part) for part in _split(text)], gap=0)


def _time_span(part: str) -> tuple[int, int]:
    ends = [end.strip() for end in part.split("..")]
    if len(ends) != 2:
        raise CellError(f'"{part}" is not a span of time; write 08:00..12:30')
    start, end = map(minute, ends)
    if start % DAY_MIN == end % DAY_MIN and (start, end) != (0, DAY_MIN):
        raise CellError(f'"{part}" begins where it ends; for the whole day leave the cell blank')
    if start == DAY_MIN:
        raise CellError(f'"{part}" begins at 24:00; write 00:00')
    return start, end if end > start else end + DAY_MIN


_DAY_WORDS: Final = {
    spelling: day
    for day, spellings in enumerate(
        (
            ("1", "mon", "monday", "一", "周一", "星期一"),
            ("2", "tue", "tuesday", "二", "周二", "星期二"),
            ("3", "wed", "wednesday", "三", "周三", "星期三"),
            ("4", "thu", "thursday", "四", "周四", "星期四"),
            ("5", "fri", "friday", "五", "周五", "星期五"),
            ("6", "sat", "saturday", "六", "周六", "星期六"),
            ("7", "sun", "sunday", "日", "周日", "星期日", "天", "周天", "星期天"),
        )
    )
    for spelling in spellings
}


def days(text: str) -> tuple[int, ...]:
    """Weekdays, Monday 0: any, `1`, `1-5`, `周一..周五`, `sat|sun`, `!sun`. Raises CellError."""
    if text in ANY:
        return ALL_DAYS
    negated, parts = _parts(text)
    chosen = {day for part in parts for day in _day_span(part)}
    out = tuple(day for day in ALL_DAYS if (day in chosen) != negated)
    if not out:
        raise CellError(f'"{text}" leaves no day of the week')
    return out


def _day_span(part: str) -> list[int]:
    ends = [_DAY_WORDS.get(end.strip().casefold()) for end in re.split(r"\.\.|[-~至到]", part)]
    if len(ends) > 2 or None in ends:
        raise CellError(f'"{part}" is not a day; write 1 (Monday) to 7, 周一, mon, a span 1..5, or several: 1|3|5')
    first, last = ends[0], ends[-1]
    assert first is not None
    assert last is not None
    return [(first + step) % 7 for step in range((last - first) % 7 + 1)]


_ISO: Final = re.compile(r"(\d{4})[-/年.](\d{1,2})[-/月.](\d{1,2})日?", re.ASCII)


def date(text: str) -> str:
    """A date as 2026-11-01, or "" for a blank cell. Raises CellError."""
    if text in ANY:
        return ""
    match = _ISO.fullmatch(text)
    try:
        if match and 2000 <= int(match[1]) <= 2199:
            return dt.date(*map(int, match.groups())).isoformat()
    except ValueError:
        pass  # the 31st of a short month: told below like any other
    raise CellError(f'"{text}" is not a date; write 2026-11-01, or leave the cell blank')


def metres(text: str) -> int:
    """A place along the loop in whole millimetres, from `36` or `36.5`. Raises CellError."""
    if not re.fullmatch(r"[0-9]{1,5}(?:\.[0-9]{1,3})?", text):
        raise CellError(f'"{text}" is not a place; write metres behind the scanner, such as 36 or 36.5')
    whole, _, part = text.partition(".")
    return int(whole) * 1000 + int(part.ljust(3, "0"))
