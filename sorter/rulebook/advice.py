"""Carriers' advice files become rows to send; a file that holds personal data is refused whole.

A row that is wrong is told and left out; it never takes its neighbours along.
"""

import csv
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from sorter import limits
from sorter.reasons import Said, Sentence
from sorter.records import AdviceFlag, Flow, Names
from sorter.rulebook import cells, mistakes, tables
from sorter.rulebook.cells import CellError, Vocabulary
from sorter.rulebook.findings import Fault, Rejected
from sorter.rulebook.mistakes import Mistake, Wrong
from sorter.rulebook.rows import FLOWS, STANDARD

Row = tuple[str, int, int, int, int, int, int]
"""waybill, carrier, station, service, flow, weight_g (0: unknown), AdviceFlag bits; indices of Names."""

FILE_BYTES_MAX: Final = 1 << 29

COLUMNS: Final[tables.Columns] = {
    "waybill": ("运单号", "运单", "邮件号", "快递单号"),
    "carrier": ("承运商", "承运商代码", "快递公司"),
    "station": ("站点", "站点代码"),
    "service": ("服务", "产品", "快递类型"),
    "flow": ("进出港", "流向"),
    "weight_g": ("重量(克)", "重量克", "重量g"),
    "cancelled": ("取消", "已取消"),
}
NEEDED: Final = ("waybill", "carrier", "station")

_PERSONAL: Final = re.compile(
    "姓名|电话|手机|联系|地址|住址|门牌|身份证|证件|收件人|收货人|寄件人|发件人|寄货人|发货人|经度|纬度"
    "|phone|mobile|address|recipient|receiver|consignee|consignor|surname|username|wechat|e-?mail"
)
_PERSONAL_WORDS: Final = frozenset({"tel", "cell", "contact", "addr", "street", "sender", "shipper", "customer"})
_NAMES_OF_THINGS: Final = frozenset({"carrier", "station", "service", "township", "hub", "branch", "lane"})


class Advices(NamedTuple):
    """The rows that are right, and one fault for each that is not."""

    rows: list[Row]
    errors: list[Fault]


def read(path: Path, names: Names) -> Advices:
    """The advices of a .csv, .tsv or .ndjson file.

    Its columns are those of COLUMNS; all but NEEDED may be missing and others are passed over.
    Raises Rejected when the file cannot be read at all or has a column of personal data.
    """
    try:
        data = tables.read_bytes(path, FILE_BYTES_MAX)
        text = tables.decode(data, COLUMNS)
        is_json = path.suffix.casefold() in (".ndjson", ".jsonl") or text.lstrip().startswith("{")
        records = _json_records(text) if is_json else _csv_records(text)
        return _checked(path.name, records, names)
    except tables.Unreadable as error:
        raise Rejected([error.fault(path.name, path.name)]) from error


def is_personal(header: str) -> bool:
    """Whether a column of this name would hold a name, a phone number or an address."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", tables.plain(header))
    parts = set(re.split(r"[^a-z]+", spaced.casefold()))
    names_a_person = "name" in parts and not parts & _NAMES_OF_THINGS
    return names_a_person or bool(parts & _PERSONAL_WORDS) or bool(_PERSONAL.search(spaced.casefold()))


class _Broken(NamedTuple):
    """A line that holds no record."""

    said: Said


_Record = tuple[int, Mapping[str, str] | _Broken]


def _refuse_personal(headers: Iterable[str], row: int) -> None:
    for header in headers:
        if is_personal(header):
            raise tables.Unreadable(Mistake.PERSONAL_DATA.about(text=header), row, header)


def _csv_records(text: str) -> Iterator[_Record]:
    """Line by line, so that a quote left open spoils its own line alone."""
    mark = tables.delimiter(text)
    lines = enumerate(text.split("\n"), start=1)
    at, headers = next((at, _cells(line, mark)) for at, line in lines if line.strip())
    if isinstance(headers, _Broken):
        raise tables.Unreadable(headers.said, at)
    _refuse_personal(headers, at)
    known = tables.by_header(COLUMNS)
    places = [known.get(tables.header_key(header), "") for header in headers]
    missing = [column for column in NEEDED if column not in places]
    twice = next((column for column in COLUMNS if places.count(column) > 1), None)
    every = ", ".join(COLUMNS)
    if missing:
        said = Mistake.MISSING_COLUMNS.about(missing=", ".join(missing), columns=every, strange="")
        raise tables.Unreadable(said, at, missing[0])
    if twice:
        raise tables.Unreadable(Mistake.COLUMN_TWICE.about(column=twice, columns=every), at, twice)
    for row, line in lines:
        if line.strip():
            found = _cells(line, mark)
            if not isinstance(found, _Broken) and len(found) != len(places) and any(found[len(places) :]):
                found = _Broken(Mistake.TOO_MANY_CELLS.about(count=len(found), most=len(places)))
            yield row, found if isinstance(found, _Broken) else dict(zip(places, found, strict=False))


def _cells(line: str, mark: str) -> list[str] | _Broken:
    if '"' not in line:
        return [tables.plain(cell) for cell in line.split(mark)]
    try:
        return [tables.plain(cell) for cell in next(csv.reader([line], delimiter=mark, strict=True))]
    except csv.Error:
        return _Broken(Mistake.QUOTE_LEFT_OPEN.about())


def _json_records(text: str) -> Iterator[_Record]:
    known = tables.by_header(COLUMNS)
    innocent: set[str] = set()
    for row, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            yield row, _Broken(Mistake.NOT_JSON.about())
            continue
        if not isinstance(found, dict):
            yield row, _Broken(Mistake.NOT_AN_OBJECT.about())
            continue
        strange = _keys(found) - innocent
        _refuse_personal(sorted(strange), row)
        innocent |= strange
        yield row, {known.get(tables.header_key(key), ""): _text(value) for key, value in found.items()}


def _keys(found: Any) -> set[str]:
    """Every key of an object and of the objects within."""
    inner = found.values() if isinstance(found, dict) else found if isinstance(found, list) else ()
    return set(found if isinstance(found, dict) else ()).union(*map(_keys, inner))


def _text(value: Any) -> str:
    if value is None or value is False:
        return ""
    return "1" if value is True else tables.plain(str(value))


def _checked(file: str, records: Iterator[_Record], names: Names) -> Advices:
    reader = _Reader(names)
    rows: list[Row] = []
    errors: list[Fault] = []
    for at, record in records:
        if isinstance(record, _Broken):
            errors.append(Fault(file, at, "", record.said, file))
            continue
        try:
            rows.append(reader.row(record))
        except _WrongCell as error:
            errors.append(Fault(file, at, error.column, error.said, file))
    return Advices(rows, errors)


class _WrongCell(Wrong):
    def __init__(self, column: str, said: Said) -> None:
        super().__init__(said)
        self.column = column


_WAYBILL: Final = re.compile(rf"[0-9A-Za-z\-./]{{1,{limits.WAYBILL_TEXT_MAX}}}")
_YES: Final = frozenset(("1", "yes", "true", "y", "是", "取消", "已取消", "cancelled"))
_NO: Final = frozenset(("", "-", "0", "no", "false", "n", "否"))


class _Reader:
    """Reads one record after the other; what a known name means is looked up once."""

    def __init__(self, names: Names) -> None:
        self._carrier = _Lookup(mistakes.CARRIER, names.carriers, names.carrier_titles)
        self._station = _Lookup(mistakes.STATION, names.stations, names.station_titles)
        self._service = _Lookup(mistakes.SERVICE, names.services, ())
        self._standard = names.services.index(STANDARD)

    def row(self, record: Mapping[str, str]) -> Row:
        """Raises _WrongCell for the first cell that is wrong."""
        column = "waybill"
        try:
            waybill = _waybill(record.get(column, ""))
            column = "carrier"
            carrier = self._carrier.find(record.get(column, ""))
            column = "station"
            station = self._station.find(record.get(column, ""))
            column = "service"
            service = record.get(column, "").lower()
            service_at = self._standard if service in cells.ANY else self._service.find(service)
            column = "flow"
            flow = _flow(record.get(column, ""))
            column = "weight_g"
            weight_g = _weight_g(record.get(column, ""))
            column = "cancelled"
            return waybill, carrier, station, service_at, flow, weight_g, _flags(record.get(column, ""))
        except CellError as error:
            raise _WrongCell(column, error.said) from error


class _Lookup:
    """Index of a name, or of a title that is not given twice."""

    def __init__(self, what: Sentence, names: tuple[str, ...], titles: tuple[str, ...]) -> None:
        given = Counter(titles)
        single = {title: name for name, title in zip(names, titles, strict=False) if given[title] == 1}
        self._words = Vocabulary(what, mistakes.IN_PLAN, names, single)
        self._index = {name: at for at, name in enumerate(names)}
        self._index |= {title: self._index[name] for title, name in single.items() if title not in self._index}

    def find(self, text: str) -> int:
        found = self._index.get(text)
        if found is not None:
            return found
        return self._index[cells.word(cells.undamaged(text), self._words)]


def _waybill(text: str) -> str:
    if not text:
        raise CellError(Mistake.EMPTY_WAYBILL.about())
    if _WAYBILL.fullmatch(text) and not any(char in text for char in "-./"):
        return text.upper()
    cells.undamaged(text)
    if not _WAYBILL.fullmatch(text):
        raise CellError(Mistake.NOT_A_WAYBILL.about(text=text[:40], most=limits.WAYBILL_TEXT_MAX))
    return text.upper()


_FLOW_WORDS: Final = {spelling: Flow[word.upper()] for word, others in FLOWS.items() for spelling in (word, *others)}


def _flow(text: str) -> int:
    flow = Flow.INBOUND if text in cells.ANY else _FLOW_WORDS.get(text.lower())
    if flow is None:
        raise CellError(Mistake.NOT_A_FLOW.about(text=text))
    return int(flow)


def _weight_g(text: str) -> int:
    return 0 if text in cells.ANY else cells.number(text, 0, limits.WEIGHT_MAX_G, mistakes.WEIGHT_G)


def _flags(text: str) -> int:
    word = text.lower()
    if word not in _YES and word not in _NO:
        raise CellError(Mistake.NOT_YES_OR_NO.about(text=text))
    return int(AdviceFlag.CANCELLED) if word in _YES else 0
