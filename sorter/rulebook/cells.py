"""The cell language: text of one cell in, a checked value out, or a sentence that says what to write.

A blank cell and `-` mean "any". Cells are already plain (see tables.plain).
"""

import datetime as dt
import difflib
import re
import sys
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sorter import limits
from sorter.reasons import Said, Sentence
from sorter.rulebook import meant, mistakes
from sorter.rulebook.mistakes import Mistake, Wrong

ALL_DAYS: Final = tuple(range(7))
DAY_MIN: Final = 24 * 60
ANY: Final = ("", "-")

Spans = tuple[tuple[int, int], ...]
"""Numbers from..to, both ends included; or minutes of the day, the end excluded. Empty: any."""


class CellError(Wrong):
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
_FEW: Final = 12


class Vocabulary:
    """The names a column may hold, what else they are called, and a near one for a misspelt one."""

    def __init__(
        self,
        what: Sentence,
        where: Sentence | Said,
        names: Iterable[str],
        aliases: Mapping[str, str] | None = None,
        titles: Mapping[str, str] | None = None,
    ) -> None:
        self.what = what  # "carrier"
        self.where = where  # "in carriers.csv"
        self.names = dict.fromkeys(names)
        self._sorted = sorted(self.names)
        self._aliases = dict(aliases or {})
        self._titles = dict(titles or {})  # never read as the name they stand for, only to say which it is
        self._unknown: set[str] = set()

    def find(self, word: str) -> str:
        """The name meant by `word`. Raises CellError."""
        if word in self.names:
            return word
        if word in self._aliases:
            return self._aliases[word]
        raise CellError(self._not_known(word))

    def find_prefix(self, prefix: str) -> str:
        """`prefix*`, when some name begins so. Raises CellError."""
        at = bisect_left(self._sorted, prefix)
        if at < len(self._sorted) and self._sorted[at].startswith(prefix):
            return f"{prefix}*"
        raise CellError(Mistake.UNKNOWN_PREFIX.about(text=prefix, what=self.what, where=self.where))

    def several(self, text: str) -> str:
        """Known names that other signs than | separate, by |; or ""."""
        return "" if text in self.names else meant.several(text, lambda part: part if part in self.names else "")

    def _not_known(self, word: str) -> Said:
        if several := self.several(word):
            return Mistake.SEPARATOR.about(text=word, what=self.what, meant=several)
        facts = {"text": word, "what": self.what, "where": self.where}
        if word in self._titles:
            return Mistake.TITLE_FOR_CODE.about(**facts, meant=self._titles[word])
        self._unknown.add(word)
        if len(self._unknown) > _SUGGESTIONS_MAX or len(word) > 2 * limits.NAME_TEXT_MAX:
            return Mistake.UNKNOWN.about(**facts)  # a whole column is wrong; to look for near names would take minutes
        folded = {name.casefold(): name for name in (*self.names, *self._aliases)}
        near = difflib.get_close_matches(word.casefold(), list(folded), n=1)
        if near:
            return Mistake.UNKNOWN_NEAR.about(**facts, meant=folded[near[0]])
        few = list(self.names)[:_FEW]
        if len(self.names) == len(few) > 0:
            return Mistake.UNKNOWN_OF_FEW.about(**facts, names=", ".join(few))
        return Mistake.UNKNOWN.about(**facts)


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
        raise CellError(Mistake.LINE_BREAK.about())
    for part in re.split(r"[|!]|\.\.", text):
        _check_part(part.strip(), date=date)
    if text.startswith("="):
        raise CellError(Mistake.FORMULA.about(text=text))
    return text


def _check_part(part: str, *, date: bool) -> None:
    if _SCIENTIFIC.fullmatch(part):
        raise CellError(Mistake.DIGITS_LOST.about(text=part))
    if not date and _DATE.fullmatch(part):
        raise CellError(Mistake.MADE_A_DATE.about(text=part))
    if _FAULT.fullmatch(part):
        raise CellError(Mistake.ERROR_MARK.about(text=part))


_RESERVED: Final = re.compile(r"[|!*<>\"]|\.\.")


def name(text: str) -> str:
    """A name that a table defines. Raises CellError."""
    if text in ANY:
        raise CellError(Mistake.EMPTY_NAME.about())
    wrong = _RESERVED.search(text)
    if wrong:
        raise CellError(Mistake.RESERVED_SIGN.about(text=text, sign=wrong[0]))
    if len(text) > limits.NAME_TEXT_MAX:
        raise CellError(Mistake.NAME_TOO_LONG.about(text=text, length=len(text), most=limits.NAME_TEXT_MAX))
    if not text.isprintable():
        raise CellError(Mistake.CONTROL_CHARACTER.about())
    return text


def title(text: str) -> str:
    """What staff read. Raises CellError when it is blank or longer than a screen shows."""
    if text in ANY:
        raise CellError(Mistake.EMPTY_TITLE.about())
    if len(text) > limits.TITLE_TEXT_MAX:
        raise CellError(Mistake.NAME_TOO_LONG.about(text=text, length=len(text), most=limits.TITLE_TEXT_MAX))
    return text


def word(text: str, vocabulary: Vocabulary) -> str:
    """One known name. Raises CellError."""
    if text in ANY:
        raise CellError(Mistake.EMPTY_WORD.about(what=vocabulary.what, where=vocabulary.where))
    if "|" in text or vocabulary.several(text):
        raise CellError(Mistake.NOT_ALONE.about(text=text, what=vocabulary.what))
    return _plain_word(text, vocabulary)


def _plain_word(text: str, vocabulary: Vocabulary) -> str:
    if text[0] == "!" or text[-1] == "*":
        raise CellError(Mistake.NOT_ALONE.about(text=text, what=vocabulary.what))
    return vocabulary.find(text)


def maybe(text: str, read: Callable[[str], str]) -> str:
    """What `read` makes of the cell, or "" for a blank one. Raises CellError."""
    if text in ANY:
        return ""
    if text.casefold() in meant.NONE_WORDS:
        raise CellError(Mistake.NONE_MEANT.about(text=text))
    return read(text)


def _refuse_any(text: str) -> None:
    if text.casefold() in meant.ANY_WORDS:
        raise CellError(Mistake.BLANK_MEANT.about(text=text))


def words(text: str, vocabulary: Vocabulary) -> Words:
    """Any, `A`, `A|B`, `!A`, `!A|B` (neither), `78*`, all of known names. Raises CellError."""
    if text in ANY:
        return ANY_WORD
    negated, parts = _parts(text)
    return Words(negated, tuple(sorted({_item(part, vocabulary) for part in parts})))


def _item(part: str, vocabulary: Vocabulary) -> str:
    if part not in vocabulary.names:
        _refuse_any(part)
    return vocabulary.find_prefix(part[:-1]) if part.endswith("*") else vocabulary.find(part)


def free_words(text: str) -> Words:
    """As words, where the cell itself brings the names into the world; letters are folded to small ones."""
    if text in ANY:
        return ANY_WORD
    negated, parts = _parts(text.lower())
    for part in parts:
        _refuse_any(part)
    items = {f"{name(part[:-1])}*" if part.endswith("*") else name(part) for part in parts}
    return Words(negated, tuple(sorted(items)))


def listed(text: str, vocabulary: Vocabulary) -> tuple[str, ...]:
    """`A|B` in the order written, or nothing for a blank cell. Raises CellError."""
    if text in ANY:
        return ()
    return tuple(dict.fromkeys(_plain_word(part, vocabulary) for part in _split(text)))


def _parts(text: str) -> tuple[bool, list[str]]:
    negated = text.startswith("!")
    parts = _split(text[1:] if negated else text)
    wrong = next((part for part in parts if "!" in part), None)
    if wrong is not None:
        raise CellError(Mistake.MISPLACED_NOT.about(text=text))
    return negated, parts


def _split(text: str) -> list[str]:
    parts = [part.strip() for part in text.split("|")]
    if not all(parts):
        raise CellError(Mistake.VALUE_MISSING.about(text=text))
    return parts


def _refuse_separators(text: str, what: Sentence, one: Callable[[str], str]) -> None:
    """For a cell of several values that other signs than | separate; `one` writes a value right, or gives ""."""
    if better := meant.several(text, one):
        raise CellError(Mistake.SEPARATOR.about(text=text, what=what, meant=better))


_WHOLE: Final = re.compile(r"[0-9]+")
_SPAN: Final = re.compile(r"([0-9]+)\s*\.\.\s*([0-9]+)")
_BOUND: Final = re.compile(r"(>=|<=|>|<)\s*([0-9]+)")


def number(text: str, least: int, most: int, unit: Sentence) -> int:
    """One whole number. Raises CellError."""
    facts = {"text": text, "unit": unit, "least": least, "most": most}
    if text in ANY:
        raise CellError(Mistake.EMPTY_NUMBER.about(unit=unit, least=least, most=most))
    if not _WHOLE.fullmatch(text):
        said = meant.number(text, unit, mistakes.WHOLE_NUMBER)
        raise CellError(said or Mistake.NOT_A_NUMBER.about(**facts))
    value = int(text) if len(text) < 19 else most + 1
    if not least <= value <= most:
        raise CellError(Mistake.OUT_OF_RANGE.about(**facts))
    return value


def minutes_before(text: str, most: int) -> int:
    """How many minutes before a departure. Raises CellError."""
    if re.fullmatch(r"[-−][0-9]{1,9}", text):
        raise CellError(Mistake.CUTOFF_AFTER_DEPARTURE.about(text=text, meant=int(text[1:])))
    return number(text, 0, most, mistakes.MINUTES_BEFORE)


def capacity(text: str) -> int:
    """Items that fit, 0 for a blank cell: without limit. Raises CellError."""
    if text in ANY:
        return 0
    if text == "0":
        raise CellError(Mistake.NO_CAPACITY.about())
    if text.casefold() in meant.NO_LIMIT_WORDS:
        raise CellError(Mistake.NO_LIMIT_MEANT.about(text=text))
    return number(text, 1, limits.CAPACITY_MAX, mistakes.ITEMS)


def spans(text: str, most: int, unit: Sentence) -> Spans:
    """Any, `500`, `0..3000`, `>3000`, `>=`, `<`, `<=`, or several by `|`. Raises CellError."""
    if text in ANY:
        return ()
    _refuse_any(text)
    return _merged([_span(part, most, unit) for part in _split(text)], gap=1)


def _span(part: str, most: int, unit: Sentence) -> tuple[int, int]:
    if match := _SPAN.fullmatch(part):
        low, high = (number(end, 0, most, unit) for end in match.groups())
    elif match := _BOUND.fullmatch(part):
        bound = number(match[2], 0, most, unit)
        low, high = {">": (bound + 1, most), ">=": (bound, most), "<": (0, bound - 1), "<=": (0, bound)}[match[1]]
    elif _WHOLE.fullmatch(part):
        low = high = number(part, 0, most, unit)
    else:
        raise CellError(meant.span(part, unit) or Mistake.NOT_A_RANGE.about(text=part, unit=unit))
    if low > high:
        raise CellError(Mistake.EMPTY_RANGE.about(text=part, most=most))
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
        better = meant.clock(text)
        said = Mistake.MISWRITTEN_TIME.about(text=text, meant=better) if better else Mistake.NOT_A_TIME.about(text=text)
        raise CellError(said)
    return value


def departures(text: str) -> tuple[int, ...]:
    """`08:00` or `08:00|14:30` as minutes of the day, below 1440. Raises CellError."""
    if text in ANY:
        raise CellError(Mistake.EMPTY_DEPARTS.about())
    _refuse_separators(text, mistakes.TIME, meant.clock)
    out = sorted({minute(part) for part in _split(text)})
    if out[-1] == DAY_MIN:
        raise CellError(Mistake.DEPARTS_AT_24.about())
    return tuple(out)


def times(text: str) -> Spans:
    """Any, `08:00..12:30`, or several by `|`; the end is excluded. Raises CellError.

    A span past midnight, such as 22:00..02:00, ends beyond 1440: it runs into the next day.
    """
    if text in ANY:
        return ()
    _refuse_any(text)
    _refuse_separators(text, mistakes.TIME_SPAN, meant.time_span)
    return _merged([_time_span(part) for part in _split(text)], gap=0)


def _time_span(part: str) -> tuple[int, int]:
    ends = [end.strip() for end in part.split("..")]
    if len(ends) != 2:
        better = meant.time_span(part)
        said = Mistake.TIME_SPAN_SIGN.about(text=part, meant=better) if better else None
        raise CellError(said or Mistake.NOT_A_TIME_SPAN.about(text=part))
    start, end = map(minute, ends)
    if start % DAY_MIN == end % DAY_MIN and (start, end) != (0, DAY_MIN):
        raise CellError(Mistake.EMPTY_TIME_SPAN.about(text=part))
    if start == DAY_MIN:
        raise CellError(Mistake.BEGINS_AT_24.about(text=part))
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
    _refuse_any(text)
    _refuse_separators(text, mistakes.DAY, lambda part: part if _days_of(part) else "")
    negated, parts = _parts(text)
    chosen = {day for part in parts for day in _day_span(part)}
    out = tuple(day for day in ALL_DAYS if (day in chosen) != negated)
    if not out:
        raise CellError(Mistake.NO_DAY_LEFT.about(text=text))
    return out


def _day_span(part: str) -> list[int]:
    found = _days_of(part)
    if not found:
        raise CellError(Mistake.NOT_A_DAY.about(text=part))
    return found


def _days_of(part: str) -> list[int]:
    """The days of `1`, `周一` or `1..5`; none of what is neither."""
    ends = [_DAY_WORDS.get(end.strip().casefold()) for end in re.split(r"\.\.|[-~至到]", part)]
    first, last = ends[0], ends[-1]
    if len(ends) > 2 or first is None or last is None:
        return []
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
    raise CellError(Mistake.NOT_A_DATE.about(text=text))


def metres(text: str) -> int:
    """A place along the loop in whole millimetres, from `36` or `36.5`. Raises CellError."""
    if text in ANY:
        raise CellError(Mistake.EMPTY_PLACE.about())
    if not re.fullmatch(r"[0-9]{1,5}(?:\.[0-9]{1,3})?", text):
        said = meant.number(text, mistakes.METRES, mistakes.PLACE)
        raise CellError(said or Mistake.NOT_A_PLACE.about(text=text))
    whole, _, part = text.partition(".")
    return int(whole) * 1000 + int(part.ljust(3, "0"))


def metres_text(position_mm: int) -> str:
    """A place as `metres` reads it."""
    whole, part = divmod(position_mm, 1000)
    return f"{whole}.{part:03d}".rstrip("0") if part else str(whole)
