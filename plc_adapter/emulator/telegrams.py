"""What a reader with given settings sends: a reading as the bytes of a whole telegram, its frame included.

Written from the settings alone, as an engineer would set the reader up, and not by asking the
parser: where the two do not agree, one of them is wrong.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from plc_adapter.scanner.settings import JSON, Scanner, parse_template
from plc_adapter.scanner.telegram import Reading
from sorter.limits import CODES_PER_SCAN_MAX

READ_WORD: Final = "AlRead"  # the status of a parcel that was read, as Hikrobot's code platform says it
PARCEL_KIND: Final = "1001"  # the kind of a telegram about a parcel there
NS_PER_MS: Final = 1_000_000
_NUMBERS: Final = frozenset({"weight", "length", "width", "height", "volume", "id"})  # in JSON; others are texts
_FRAMES: Final = {
    "stx_etx": ("\x02", "\x03"),
    "cr": ("", "\r"),
    "lf": ("", "\n"),
    "crlf": ("", "\r\n"),
    "nul": ("", "\0"),
    "json": ("", ""),
    "idle": ("", ""),
}


def write(reading: Reading, scanner: Scanner) -> bytes:
    """A reading with at most `codes_max` codes; b"" when the reader has no word for a parcel without code."""
    codes = _codes(reading.codes, scanner)
    if codes is None:
        return b""
    values = {
        "weight": _weight(reading.weight_g, scanner),
        **dict(zip(("length", "width", "height"), _lengths(reading.size_mm, scanner), strict=True)),
        "volume": "0",
        "time": "" if reading.time_ns is None else str(reading.time_ns // NS_PER_MS),
        "id": "" if reading.id is None else str(reading.id),
        "status": READ_WORD if reading.codes else _no_read_word(scanner),
        "kind": PARCEL_KIND,
        "skip": "0",
    }
    if scanner.template == JSON:
        return _framed(_object({**values, "code": codes[0] if len(codes) == 1 else codes}, scanner), scanner)
    template = parse_template(scanner.template)
    values["code"] = _separator(scanner).join(codes)
    return _framed(template.delimiter.join(values[field] for field in template.fields), scanner)


def codes_max(scanner: Scanner) -> int:
    """How many codes fit a telegram: one, where nothing of its own could stand between two."""
    return CODES_PER_SCAN_MAX if scanner.template == JSON or _separator(scanner) else 1


def fields_of(scanner: Scanner) -> set[str]:
    """What its telegrams carry, as `fields` and templates name it."""
    return set(scanner.fields) if scanner.template == JSON else set(parse_template(scanner.template).fields)


def heartbeat(scanner: Scanner) -> bytes:
    """What the reader sends to show that it is alive; b"" when it sends nothing by itself.

    A heartbeat that ends in * is an answer to a command.
    """
    word = next((word for word in scanner.heartbeats if not word.endswith("*")), "")
    if not word:
        return b""
    kind = int(word) if word.isdecimal() else word
    return _framed(_object({"kind": kind}, scanner) if scanner.template == JSON else word, scanner)


def answer(command: bytes, scanner: Scanner) -> bytes:
    """What a reader says to a command, without the CR that ended it: Keyence's `OK,LON` to `LON` (manual SR-750)."""
    return _framed(f"OK,{command.decode('ascii', 'replace')}", scanner) if scanner.maker == "keyence" else b""


def _codes(codes: tuple[str, ...], scanner: Scanner) -> list[str] | None:
    """What stands where codes stand; None when there is no word for none."""
    if codes:
        prefix = scanner.prefixes[0] if scanner.prefixes else ""
        return [prefix + code for code in codes]
    if "status" in fields_of(scanner) and scanner.no_read:
        return []
    if scanner.empty_is_no_read:
        return [""]
    return [scanner.no_read[0]] if scanner.no_read else None


def _no_read_word(scanner: Scanner) -> str:
    return scanner.no_read[0] if scanner.no_read else ""


def _separator(scanner: Scanner) -> str:
    """The first separator that is no part of the frame or of what stands between fields; "" when there is none."""
    taken = "".join(_frame(scanner)) + (parse_template(scanner.template).delimiter if scanner.template != JSON else "")
    return next((each for each in scanner.separators if not set(each) & set(taken)), "")


def _weight(weight_g: int, scanner: Scanner) -> str:
    return f"{weight_g // 1000}.{weight_g % 1000:03}" if scanner.weight_unit == "kg" else str(weight_g)


def _lengths(size_mm: tuple[int, int, int] | None, scanner: Scanner) -> list[str]:
    return [f"{mm // 10}.{mm % 10}" if scanner.length_unit == "cm" else str(mm) for mm in size_mm or (0, 0, 0)]


def _object(values: dict[str, Any], scanner: Scanner) -> str:
    """One JSON object with each value where the settings say that it is."""
    whole: dict[str, Any] = {}
    for field, place in scanner.fields.items():
        if field in values:
            *outer, name = place.split(".")
            inner = whole
            for each in outer:
                inner = inner.setdefault(each, {})
            inner[name] = msgspec.json.decode(values[field]) if field in _NUMBERS and values[field] else values[field]
    return msgspec.json.encode(whole).decode()


def _frame(scanner: Scanner) -> tuple[str, str]:
    return _FRAMES.get(scanner.framing) or (scanner.start, scanner.end)


def _framed(body: str, scanner: Scanner) -> bytes:
    start, end = _frame(scanner)
    return f"{start}{body}{end}".encode()
