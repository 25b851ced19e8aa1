"""One telegram becomes one reading, a sign of life, or a sentence about why it is neither.

Nothing here raises and nothing is guessed: a field that is not what the settings say makes the
whole telegram nonsense, because then the other fields may stand in the wrong place as well. Only a
number that no parcel can have is the scale's or the frame's own fault, and one that may be of another
unit is the settings', until the reader has shown its unit: then it is not measured.

Text is UTF-8, else GB18030, else Latin-1. A code becomes a waybill's by nothing but full-width
forms, small letters and what stands around it: a damaged byte stays in its code as a character
that no waybill has, so that it never makes another parcel's code.
"""

import re
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import Any, Final, NamedTuple

import msgspec

from plc_adapter.scanner.framing import TELEGRAM_BYTES_MAX
from plc_adapter.scanner.settings import JSON, MEASURES, Scanner, parse_template
from sorter import limits


class Reading(NamedTuple):
    """What a reader saw of one parcel."""

    codes: tuple[str, ...]  # each once, in order, at most CODES_PER_SCAN_MAX
    unread: bool  # the reader says that it saw a parcel and read no code
    weight_g: int = 0  # 0: not measured
    size_mm: tuple[int, int, int] | None = None  # length, width, height; None: not measured
    id: int | None = None  # the number that the PLC gave the reader with its trigger
    time_ns: int | None = None  # the reader's own clock, since 1970
    surplus: int = 0  # further codes that a scan has no room for
    garbled: bool = False  # the text was neither UTF-8 nor GB18030
    unmeasured: str = ""  # why a weight or size that stands there does not count, fit for a log


class Heartbeat(NamedTuple):
    """The reader is alive, or answers a command; no parcel."""

    text: str  # as it came


class Nonsense(NamedTuple):
    """Not understood: `words` say why and what to do, and are fit for a log."""

    words: str


class Units:
    """What one reader has shown of its units; it starts with nothing and lasts as long as its settings.

    A bare number that is written with a point may be of a larger unit than is set, until one comes that
    no parcel has in the larger unit: from then on nothing of that unit is doubted.
    """

    def __init__(self) -> None:
        self._shown: set[str] = set()

    def doubts(self, unit: str, said: list[str]) -> bool:
        """Whether a parcel's numbers may be of a larger unit than "g" or "mm"; kg and cm are never doubted."""
        if unit not in _LARGE or unit in self._shown or not all(_BARE.fullmatch(each) for each in said):
            return False
        large, most = _LARGE[unit]
        values = [float(each) for each in said]
        if not min(values) or max(values) > most:
            return False
        if max(values) >= large:
            self._shown.add(unit)
            return False
        return any("." in each for each in said)


def read(telegram: bytes, scanner: Scanner, units: Units | None = None) -> Reading | Heartbeat | Nonsense:
    """What a whole telegram of this reader says, whose `units` it may show; None: its first one. Never raises."""
    if len(telegram) > TELEGRAM_BYTES_MAX:
        return Nonsense(f"{len(telegram)} bytes in one telegram, the most is {TELEGRAM_BYTES_MAX}; is framing right?")
    text, garbled = _text(telegram)
    try:
        found = _from_json(text, scanner) if scanner.template == JSON else None
        said = text.strip(_BLANKS) if found is None else "".join(found.get("kind", ()))
        if _is_one_of(said, scanner.heartbeats):
            return Heartbeat(said)
        if _is_one_of(said, scanner.complaints):
            return Nonsense("the reader refuses a command of ours; look at hello, goodbye and the reader's manual")
        found = _from_text(text, scanner) if found is None else found
        return _undoubted(_reading(found, scanner, garbled=garbled), found, scanner, units or Units())
    except _Wrong as wrong:
        return Nonsense(str(wrong))


class _Wrong(Exception):
    """The telegram is nonsense, and why."""


_Found = dict[str, tuple[str, ...]]  # field -> what stands there


def _text(telegram: bytes) -> tuple[str, bool]:
    for encoding in ("utf-8", "gb18030"):
        try:
            return telegram.decode(encoding), False
        except UnicodeDecodeError:
            continue
    return telegram.decode("latin-1"), True


def _from_text(text: str, scanner: Scanner) -> _Found:
    fields, delimiter = msgspec.structs.astuple(parse_template(scanner.template))
    values = text.strip("\r\n\0").split(delimiter) if delimiter else [text]
    if len(values) != len(fields):
        raise _Wrong(
            f"{len(values)} fields, the template has {len(fields)}: {_shown(text)}; "
            f'correct template, or have the reader separate several codes by other than "{delimiter}"'
        )
    found = {field: (value,) for field, value in zip(fields, values, strict=True) if field != "code"}
    return {**found, "code": _split(values[fields.index("code")], scanner.separators)}


def _from_json(text: str, scanner: Scanner) -> _Found:
    try:
        whole = _JSON.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise _Wrong(f"no JSON: {error}: {_shown(text)}; is framing right?") from error
    if not isinstance(whole, dict):
        raise _Wrong(f"no JSON object: {_shown(text)}; is framing right?")
    found: _Found = {}
    for field, place in scanner.fields.items():
        values = [whole]
        for name in place.split("."):
            values = [value[name] for value in _each(values) if isinstance(value, dict) and name in value]
        texts = tuple(_word(value, place) for value in _each(values) if value is not None)
        if field == "code":
            if any(isinstance(value, float) for value in _each(values)):
                raise _Wrong(f"{place}: a number with a fraction is no code; have the reader send codes as texts")
            if values:
                one = isinstance(values[0], str) and len(values) == 1
                found[field] = _split(texts[0], scanner.separators) if one else texts
        elif len(texts) > 1:
            raise _Wrong(f"{place}: {len(texts)} values, one is expected: {_shown(text)}; correct fields.{field}")
        elif texts:
            found[field] = texts
    return found


def _each(values: Iterable[Any]) -> list[Any]:
    """The values, and those of lists among them."""
    return [each for value in values for each in (value if isinstance(value, list) else [value])]


def _word(value: Any, place: str) -> str:
    """A scalar of JSON as it would stand in a text."""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, float):
        return _ZEROS.sub("", format(value, "f"))  # keeps the point, which says how it was written
    raise _Wrong(f"{place}: this is neither a text nor a number; correct fields")


def _reading(found: _Found, scanner: Scanner, *, garbled: bool) -> Reading:
    status = "".join(found.get("status", ()))
    unread = bool(status) and _says_no_read(status, scanner)
    if "code" not in found and not unread:
        raise _Wrong(f'there is no "{scanner.fields.get("code")}"; correct fields.code')
    parts = [part for part in found.get("code", ()) if part.strip()]
    silent = [part for part in parts if _says_no_read(part, scanner)]
    codes = dict.fromkeys(code for part in parts if part not in silent and (code := _code(part, scanner)))
    if codes and unread:
        raise _Wrong(f"it says {_shown(status)} and yet has {len(codes)} codes; look at the reader's settings")
    if not codes and not silent and not unread and not scanner.empty_is_no_read:
        raise _Wrong("a telegram without a code; if that is a no-read, write empty_is_no_read = true")
    kept = tuple(codes)[: limits.CODES_PER_SCAN_MAX]
    absurd: list[str] = []
    return Reading(
        codes=kept,
        unread=not kept,
        weight_g=_weight_g(found, scanner, absurd),
        size_mm=_size_mm(found, scanner, absurd),
        id=_id(found),
        time_ns=_time_ns(found),
        surplus=len(codes) - len(kept),
        garbled=garbled,
        unmeasured="; ".join(absurd),
    )


def _split(text: str, separators: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_between(separators).split(text)) if separators else (text,)


@lru_cache
def _between(separators: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(re.escape(each) for each in sorted(separators, key=len, reverse=True)))


def _code(part: str, scanner: Scanner) -> str:
    """A code as the wire wants it: trimmed, without its prefix and AIM identifier, in ASCII capitals.

    Only ASCII letters become capitals: others would turn into letters that were never on the
    label, as ß into SS.
    """
    code = _trimmed(part)
    for prefix in scanner.prefixes:
        if code.startswith(prefix):
            code = code.removeprefix(prefix)
            break
    return _seen(_trimmed(_AIM.sub("", code))).translate(_CAPITALS)


def _trimmed(text: str) -> str:
    """Full-width forms as ASCII, without NULs and without what readers put around a code.

    Not NFKC: it makes 2 of ², which as Latin-1 is one damaged byte.
    """
    return text.translate(_WIDTHS).strip(_AROUND)


def _seen(text: str) -> str:
    """Control characters as \ufffd: a code that holds one is damaged, and is not to become a shorter one."""
    return _CONTROL.sub("\ufffd", text)


def _says_no_read(part: str, scanner: Scanner) -> bool:
    words = _folded(scanner.no_read)
    for said in (part.strip(" "), _trimmed(part)):
        folded = said.casefold()
        if folded in words or ("?" in words and folded and not folded.strip("?")):
            return True
    return False


@lru_cache
def _folded(words: tuple[str, ...]) -> frozenset[str]:
    return frozenset(word.casefold() for word in words)


def _is_one_of(said: str, patterns: tuple[str, ...]) -> bool:
    folded = said.casefold()
    for pattern in patterns:
        whole = pattern.casefold()
        if folded == whole or (whole.endswith("*") and folded.startswith(whole[:-1])):
            return True
    return False


def _weight_g(found: _Found, scanner: Scanner, absurd: list[str]) -> int:
    grams = 1000 if scanner.weight_unit == "kg" else 1
    return _measure(found, "weight", scanner.weight_unit, grams, limits.WEIGHT_MAX_G, absurd=absurd)


def _size_mm(found: _Found, scanner: Scanner, absurd: list[str]) -> tuple[int, int, int] | None:
    millimetres = 10 if scanner.length_unit == "cm" else 1
    length, width, height = (
        _measure(found, field, scanner.length_unit, millimetres, limits.SIZE_MAX_MM, absurd=absurd)
        for field in MEASURES
    )
    return (length, width, height) if length and width and height else None


def _undoubted(reading: Reading, found: _Found, scanner: Scanner, units: Units) -> Reading:
    """The reading without what may be of a larger unit, each told."""
    told = [reading.unmeasured] if reading.unmeasured else []
    for fields, unit, key, larger in (
        (("weight",), scanner.weight_unit, "weight_unit", "kg"),
        (MEASURES, scanner.length_unit, "length_unit", "cm"),
    ):
        said = [_trimmed("".join(found.get(field, ()))) for field in fields]
        if units.doubts(unit, said):
            reading = reading._replace(weight_g=0) if unit == "g" else reading._replace(size_mm=None)
            told.append(
                f"{', '.join(fields)}: {' x '.join(map(_shown, said))} with unit {unit} is left out until "
                f'{_LARGE[unit][0]} or more comes; is it {larger}? write {key} = "{larger}"'
            )
    return reading._replace(unmeasured="; ".join(told))


def _measure(found: _Found, field: str, unit: str, factor: int, most: int, *, absurd: list[str]) -> int:
    """A weight in grams or a length in millimetres, rounded; 0 where there is none or `absurd` gets why not."""
    said = _trimmed("".join(found.get(field, ())))
    if not said:
        return 0
    number = _NUMBER.fullmatch(said)
    if number is None:
        raise _Wrong(f"{field}: {_shown(said)} is no number; correct template or fields")
    if number["unit"] and number["unit"].casefold() != unit:
        kind = "weight_unit" if field == "weight" else "length_unit"
        raise _Wrong(f'{field}: {_shown(said)}, but {kind} is "{unit}"; write the unit that the telegram has')
    value = round(float(number["value"]) * factor)
    if value < 0:
        absurd.append(f"{field}: {_shown(said)} is negative; set the scale or the frame to zero")
    elif value > most:
        small, key = ("g", "weight_unit") if field == "weight" else ("mm", "length_unit")
        absurd.append(
            f"{field}: {_shown(said)} {unit} is beyond {most} {small} and is left out; correct {key} or the template"
        )
    else:
        return value
    return 0


def _id(found: _Found) -> int | None:
    said = _trimmed("".join(found.get("id", ())))
    if not said:
        return None
    if not _WHOLE.fullmatch(said) or int(said) > limits.ITEM_NUMBER_MAX:
        raise _Wrong(f"id: {_shown(said)} is no number from 0 to {limits.ITEM_NUMBER_MAX}; correct template or fields")
    return int(said)


def _time_ns(found: _Found) -> int | None:
    """Seconds or milliseconds since 1970, or ISO 8601; without a zone it is China's."""
    said = _trimmed("".join(found.get("time", ())))
    if not said or not said.strip("0"):
        return None
    try:
        if _SECONDS.fullmatch(said):
            since_1970 = float(said)
            time_ns = round(since_1970 * (1 if since_1970 >= _MILLISECONDS_FROM else 1000)) * _NS_PER_MS
        else:
            at = datetime.fromisoformat(said)
            time_ns = round((at if at.tzinfo else at.replace(tzinfo=_CHINA)).timestamp() * 1000) * _NS_PER_MS
    except (ValueError, OverflowError):
        time_ns = -1
    if not 0 < time_ns < _TIME_END_NS:
        raise _Wrong(f"time: {_shown(said)} is neither s nor ms since 1970 nor ISO 8601; correct template or fields")
    return time_ns


def _shown(text: str) -> str:
    """A text for a log, which never carries a waybill: whole if it is short, else its shape, as "xx###,#.#"."""
    shape = text if len(text) <= _SHOWN_WHOLE_MAX else _DIGIT.sub("#", _LETTER.sub("x", text[:_SHOWN_MAX]))
    seen = "".join(char if char.isprintable() else ascii(char)[1:-1] if char.isascii() else "\ufffd" for char in shape)
    return f'"{seen}"' + ("…" if len(text) > _SHOWN_MAX else "")


_JSON: Final = msgspec.json.Decoder()
_DIGITS_MAX: Final = 40
_SHOWN_MAX: Final = 60
_SHOWN_WHOLE_MAX: Final = 6  # no waybill and no telephone number is as short
_LETTER: Final = re.compile(r"[^\W\d_]")
_DIGIT: Final = re.compile(r"\d")
_CHINA: Final = timezone(timedelta(hours=8))
_MILLISECONDS_FROM: Final = 10**11  # as seconds the year 5138, as milliseconds 1973
_TIME_END_NS: Final = 4_102_444_800 * 10**9  # the year 2100
_NS_PER_MS: Final = 1_000_000
_BLANKS: Final = " \t\r\n\0"
_AROUND: Final = _BLANKS + "\x02\x03\x1d\ufeff\u200b"
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_WIDTHS: Final = {0x3000: 0x20, 0: None, **{0xFEE0 + char: char for char in range(0x21, 0x7F)}}
_CAPITALS: Final = {char: char - 32 for char in range(ord("a"), ord("z") + 1)}
_AIM: Final = re.compile(r"^\][A-Za-z][0-9A-Za-z]")
_NUMBER: Final = re.compile(r"(?P<value>[+-]?\d{1,12}(?:\.\d{0,12})?)\s*(?P<unit>k?g|[cm]m)?", re.IGNORECASE | re.ASCII)
_BARE: Final = re.compile(r"\+?\d{1,12}(\.\d{0,12})?", re.ASCII)  # a number without a unit of its own
_ZEROS: Final = re.compile(r"(?<!\.)0+$")  # at the end of a fraction, but for its first digit
_LARGE: Final = {
    "g": (50, limits.WEIGHT_MAX_G),  # few parcels weigh 50 kg
    "mm": (100, limits.SIZE_MAX_MM),  # few sides are 100 cm long
}
_WHOLE: Final = re.compile(r"\d{1,18}", re.ASCII)
_SECONDS: Final = re.compile(r"\d{1,18}(\.\d{1,9})?", re.ASCII)
