"""Recorded traffic: a day's parcels as arrays, from the ledger or a parcels file, to try a plan on.

It holds codes and what carriers told, never names, phones or addresses.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from sorter import limits
from sorter.reasons import Declined, Said, Sentence
from sorter.records import (
    NONE_8,
    NONE_16,
    Bytes,
    Flow,
    Ints64,
    RecordedAdvice,
    RecordedParcel,
    Words16,
    code_row,
)

FILE_BYTES_MAX: Final = 1 << 30
LINE_TEXT_MAX: Final = 4096
FAULTS_MAX: Final = 20
T_NS_MAX: Final = (1 << 62) - 1

UNREADABLE: Final = Sentence(
    "{file}：文件读不出来（{error}）；请检查路径和权限", "{file}: the file cannot be read ({error}); check its path"
)
TOO_LARGE: Final = Sentence(
    "{file}：文件有 {size} MB，最多 {most} MB；请按天拆开",
    "{file}: the file has {size} MB, at most {most} MB; split it by day",
)
NO_PARCEL: Final = Sentence(
    "{file}：文件里没有包裹；每行写一个 JSON 对象，例如 {example}",
    "{file}: it holds no parcel; write one JSON object a line, such as {example}",
)
BAD_LINE: Final = Sentence("{file} 第 {line} 行：{fault}", "{file} line {line}: {fault}")
MORE_FAULTS: Final = Sentence("{file}：另有 {count} 行有错", "{file}: {count} more lines are wrong")
LINES: Final = Sentence("{one}\n{rest}", "{one}\n{rest}")
NOT_JSON: Final = Sentence("不是一个 JSON 对象；应写成 {example}", "it is no JSON object; write {example}")
TOO_LONG: Final = Sentence(
    "这一行超过 {most} 个字节；请删掉多余内容", "it has more than {most} bytes; delete what does not belong"
)
NO_KEY: Final = Sentence("缺少 {key}；应写成 {example}", "{key} is missing; write {example}")
STRANGE_KEY: Final = Sentence(
    "不认识 {key}；只能写 {keys}，不得包含个人信息", "{key} is not known; write only {keys}, and no personal data"
)
WRONG_VALUE: Final = Sentence("{key} 写错了；应写{wanted}", "{key} is wrong; write {wanted}")

A_TIME: Final = Sentence("1970 年以来的纳秒数（整数）", "whole nanoseconds since 1970")
A_NAME: Final = Sentence('名称（文字），例如 "{example}"', 'a name in quotes, such as "{example}"')
A_SERVICE: Final = Sentence('服务名称（文字），例如 "standard"', 'a service in quotes, such as "standard"')
A_FLOW: Final = Sentence('"inbound"（进港）或 "outbound"（出港）', '"inbound" or "outbound"')
CODES: Final = Sentence(
    '条码列表，例如 ["YT0000000000001"]；没读到写 []',
    'a list of codes, such as ["YT0000000000001"]; [] when none was read',
)
A_WEIGHT: Final = Sentence("0 到 {most} 的整克数；没称重写 0", "whole grams from 0 to {most}; 0 when not weighed")
A_SIZE: Final = Sentence(
    "[长, 宽, 高] 三个 0 到 {most} 的整毫米数；没测量写 [0, 0, 0]",
    "[length, width, height] in whole millimetres from 0 to {most}; [0, 0, 0] when not measured",
)
AN_ADVICE: Final = Sentence("预报对象 {example}；没有预报写 null", "an advice {example}; null when there is none")
YES_OR_NO: Final = Sentence("true 或 false", "true or false")

FLOWS: Final = tuple(flow.name.lower() for flow in Flow)
PARCEL_KEYS: Final = ("t_ns", "line", "codes", "weight_g", "size_mm", "advice", "intercepted")
ADVICE_KEYS: Final = RecordedAdvice._fields
EXAMPLE: Final = (
    '{"t_ns": 1794344400000000000, "line": "L1", "codes": ["YT0000000000001"], "weight_g": 800, '
    '"size_mm": [300, 200, 100], "advice": null, "intercepted": false}'
)
ADVICE_EXAMPLE: Final = (
    '{"carrier": "YTO", "station": "V001", "service": "standard", "flow": "inbound", "cancelled": false}'
)

WANTED: Final[Mapping[str, Said]] = {
    "t_ns": A_TIME.about(),
    "line": A_NAME.about(example="L1"),
    "codes": CODES.about(),
    "weight_g": A_WEIGHT.about(most=limits.WEIGHT_MAX_G),
    "size_mm": A_SIZE.about(most=limits.SIZE_MAX_MM),
    "advice": AN_ADVICE.about(example=ADVICE_EXAMPLE),
    "intercepted": YES_OR_NO.about(),
    "carrier": A_NAME.about(example="YTO"),
    "station": A_NAME.about(example="V001"),
    "service": A_SERVICE.about(),
    "flow": A_FLOW.about(),
    "cancelled": YES_OR_NO.about(),
}
"""What to write for a key."""


class Recorded(NamedTuple):
    """The parcels of some time, in names of their own that belong to no plan."""

    t_ns: Ints64  # [n] when the parcel was first read
    line: Words16  # [n] index of `lines`
    code_at: Ints64  # [n + 1] where each parcel's codes begin in `codes`
    codes: Bytes  # [m, 32] rows of records.CODE; of a parcel at most CODES_PER_SCAN_MAX
    weight_g: Ints64  # [n] as measured, else as declared where that is known; 0: neither
    length_mm: Ints64  # [n] 0: not measured
    carrier: Words16  # [n] index of `carriers`; NONE_16: no advice
    station: Words16  # [n] index of `stations`; NONE_16: no advice, or of a station nobody knew
    service: Words16  # [n] index of `services`; NONE_16: no advice
    flow: Bytes  # [n] a Flow; NONE_8: no advice
    cancelled: Bytes  # [n] 0 or 1
    intercepted: Bytes  # [n] 0 or 1
    lines: tuple[str, ...]
    carriers: tuple[str, ...]
    stations: tuple[str, ...]
    services: tuple[str, ...]

    @property
    def items(self) -> int:
        """How many parcels."""
        return len(self.t_ns)


class NotParcels(Declined):
    """A parcels file is refused. `faults` says for each wrong line what to write, the first FAULTS_MAX of them."""

    def __init__(self, faults: Sequence[Said]) -> None:
        *before, said = faults
        for fault in reversed(before):
            said = LINES.about(one=fault, rest=said)
        super().__init__(said)
        self.faults = tuple(faults)


class _Names:
    """Numbers names in the order they come."""

    def __init__(self) -> None:
        self.index: dict[str, int] = {}

    def __call__(self, name: str) -> int:
        if not name:
            return NONE_16
        return self.index.setdefault(name, len(self.index))


_NO_ADVICE: Final = RecordedAdvice("", "", "", "", cancelled=False)
_FLOW_OF: Final = {"": NONE_8} | {flow: at for at, flow in enumerate(FLOWS)}


def of_parcels(parcels: Iterable[RecordedParcel]) -> Recorded:
    """The arrays of parcels, in their order."""
    line, carrier, station, service = _Names(), _Names(), _Names(), _Names()
    rows: list[tuple[int, ...]] = []
    codes = bytearray()
    ends = [0]
    for parcel in parcels:
        advice = parcel.advice or _NO_ADVICE
        for code in parcel.codes[: limits.CODES_PER_SCAN_MAX]:
            codes += code_row(code.encode())
        ends.append(len(codes) // limits.CODE_BYTES)
        who = (carrier(advice.carrier), station(advice.station), service(advice.service), _FLOW_OF[advice.flow])
        what = (parcel.t_ns, line(parcel.line), parcel.weight_g, parcel.length_mm)
        rows.append((*what, *who, advice.cancelled, parcel.intercepted))
    columns = np.array(rows, np.int64).reshape(-1, 10).T
    return Recorded(
        t_ns=columns[0].copy(),
        line=columns[1].astype(np.uint16),
        code_at=np.array(ends, np.int64),
        codes=np.frombuffer(bytes(codes), np.uint8).reshape(-1, limits.CODE_BYTES),
        weight_g=columns[2].copy(),
        length_mm=columns[3].copy(),
        carrier=columns[4].astype(np.uint16),
        station=columns[5].astype(np.uint16),
        service=columns[6].astype(np.uint16),
        flow=columns[7].astype(np.uint8),
        cancelled=columns[8].astype(np.uint8),
        intercepted=columns[9].astype(np.uint8),
        lines=tuple(line.index),
        carriers=tuple(carrier.index),
        stations=tuple(station.index),
        services=tuple(service.index),
    )


def write(path: Path, parcels: Iterable[RecordedParcel]) -> None:
    """Write a parcels file: a JSON object a line, as `read` takes it."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for parcel in parcels:
            json.dump(_as_json(parcel), file, ensure_ascii=False)
            file.write("\n")


def _as_json(parcel: RecordedParcel) -> dict[str, Any]:
    return {
        "t_ns": parcel.t_ns,
        "line": parcel.line,
        "codes": parcel.codes,
        "weight_g": parcel.weight_g,
        "size_mm": [parcel.length_mm, 0, 0],
        "advice": parcel.advice and parcel.advice._asdict(),
        "intercepted": parcel.intercepted,
    }


def read(path: Path) -> Recorded:
    """The parcels of a file with one JSON object a line. Raises NotParcels with every wrong line, up to FAULTS_MAX."""
    return of_parcels(_checked(path))


def _checked(path: Path) -> Iterator[RecordedParcel]:
    faults: list[Said] = []
    parcels = wrong = 0
    for at, line in _lines(path):
        try:
            parcel = _parcel(line)
        except _Wrong as error:
            wrong += 1
            if len(faults) < FAULTS_MAX:
                faults.append(BAD_LINE.about(file=path.name, line=at, fault=error.said))
            continue
        parcels += 1
        yield parcel
    if not parcels and not wrong:
        faults.append(NO_PARCEL.about(file=path.name, example=EXAMPLE))
    if wrong > len(faults):
        faults.append(MORE_FAULTS.about(file=path.name, count=wrong - len(faults)))
    if faults:
        raise NotParcels(faults)


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Number and bytes of each line that is not blank; of one that is too long only its beginning."""
    try:
        size = path.stat().st_size
        if size > FILE_BYTES_MAX:
            raise NotParcels([TOO_LARGE.about(file=path.name, size=size >> 20, most=FILE_BYTES_MAX >> 20)])
        with path.open("rb") as file:
            at, begins = 0, True
            while line := file.readline(LINE_TEXT_MAX + 1):
                at += begins
                if begins and line.strip():
                    yield at, line.removeprefix(b"\xef\xbb\xbf") if at == 1 else line
                begins = line.endswith(b"\n")
    except OSError as error:
        raise NotParcels([UNREADABLE.about(file=path.name, error=error.strerror)]) from error


class _Wrong(Declined):
    """What is wrong with one line."""


def _parcel(line: bytes) -> RecordedParcel:
    """Raises _Wrong."""
    if len(line) > LINE_TEXT_MAX:
        raise _Wrong(TOO_LONG.about(most=LINE_TEXT_MAX))
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _Wrong(NOT_JSON.about(example=EXAMPLE)) from error
    _hold_keys(found, PARCEL_KEYS, EXAMPLE)
    size_mm = found["size_mm"]
    _hold("t_ns", whole=_is_whole(found["t_ns"], T_NS_MAX))
    _hold("line", whole=_is_name(found["line"]))
    _hold("codes", whole=_are_codes(found["codes"]))
    _hold("weight_g", whole=_is_whole(found["weight_g"], limits.WEIGHT_MAX_G))
    _hold("size_mm", whole=_is_size(size_mm))
    _hold("intercepted", whole=isinstance(found["intercepted"], bool))
    return RecordedParcel(
        found["t_ns"],
        found["line"],
        tuple(found["codes"]),
        found["weight_g"],
        max(size_mm),
        _advice(found["advice"]),
        found["intercepted"],
    )


def _advice(found: Any) -> RecordedAdvice | None:
    """Raises _Wrong."""
    if found is None:
        return None
    _hold("advice", whole=isinstance(found, dict))
    _hold_keys(found, ADVICE_KEYS, ADVICE_EXAMPLE)
    for name in ("carrier", "station", "service"):
        _hold(name, whole=_is_name(found[name], blank=True))
    _hold("flow", whole=found["flow"] in ("", *FLOWS))
    _hold("cancelled", whole=isinstance(found["cancelled"], bool))
    return RecordedAdvice(**found)


def _hold_keys(found: Any, keys: Sequence[str], example: str) -> None:
    if not isinstance(found, Mapping):
        raise _Wrong(NOT_JSON.about(example=example))
    strange = next((key for key in found if key not in keys), None)
    if strange is not None:
        raise _Wrong(STRANGE_KEY.about(key=json.dumps(strange[:40], ensure_ascii=False), keys=", ".join(keys)))
    missing = next((key for key in keys if key not in found), None)
    if missing is not None:
        raise _Wrong(NO_KEY.about(key=missing, example=example))


def _hold(key: str, *, whole: bool) -> None:
    if not whole:
        raise _Wrong(WRONG_VALUE.about(key=key, wanted=WANTED[key]))


def _is_whole(value: Any, most: int) -> bool:
    return type(value) is int and 0 <= value <= most


def _is_name(value: Any, *, blank: bool = False) -> bool:
    """Of an advice a name may be blank: it is not known."""
    return isinstance(value, str) and (not blank) <= len(value) <= limits.NAME_TEXT_MAX and value.isprintable()


def _are_codes(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(code, str) and code.isprintable() for code in value)


def _is_size(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 3 and all(_is_whole(side, limits.SIZE_MAX_MM) for side in value)
